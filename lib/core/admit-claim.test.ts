import { describe, expect, it } from "vitest";
import { admitClaim, inodesOfClaim, sizeOfClaim, type WantedClaim } from "./admit-claim.ts";
import { deleteClaim, modifyClaim } from "./claim-steps.ts";
import { isFailure, type Reason } from "./failure.ts";
import { made } from "./testing/claims.ts";

const GI = 2 ** 30;
const wanted: WantedClaim = {
  name: "pvc-1",
  size: { requiredBytes: GI, limitBytes: 0 },
  parameters: new Map([["cache", "npm"]]),
};
const failing = (reason: Reason, why: string) =>
  expect.toSatisfy((error) => isFailure(error, reason) && error.message.includes(why));

describe("sizeOfClaim()", () => {
  it.each([
    [0, 0, GI],
    [5 * GI, 0, 5 * GI],
    [5 * GI, 5 * GI, 5 * GI],
    [0, 2 * GI, GI],
    [0, 2 ** 21, 2 ** 21],
    [1, 0, 2 ** 20],
    [10_000_001, 10_000_002, 10_000_001],
  ])("of at least %i and at most %i is %i", (requiredBytes, limitBytes, bytes) => {
    expect(sizeOfClaim({ requiredBytes, limitBytes })).toBe(bytes);
  });

  it.each([
    [2 * GI, GI, "2 GiB at least and 1 GiB at most"],
    [0, 1000, "the smallest has 1 MiB"],
    [1000, 1000, "the smallest has 1 MiB"],
  ])("refuses at least %i and at most %i", (requiredBytes, limitBytes, why) => {
    expect(() => sizeOfClaim({ requiredBytes, limitBytes })).toThrow(failing("out-of-range", why));
  });
});

describe("inodesOfClaim()", () => {
  it("is one for every 4 KiB", () => {
    expect(inodesOfClaim(GI)).toBe(262_144);
    expect(inodesOfClaim(2 ** 20 + 1)).toBe(257);
  });
});

describe("admitClaim()", () => {
  it("creates what is not here", () => {
    expect(admitClaim(undefined, wanted)).toBe("create");
  });

  it.each([
    ["the same call", {}],
    ["a smaller size", { size: { requiredBytes: 1, limitBytes: 0 } }],
    ["no size", { size: { requiredBytes: 0, limitBytes: 0 } }],
    ["that very size", { size: { requiredBytes: GI, limitBytes: GI } }],
    [
      "what Kubernetes adds",
      { parameters: new Map([...wanted.parameters, ["csi.storage.k8s.io/pvc/name", "x"]]) },
    ],
  ])("keeps what is here for %s", (_, change) => {
    expect(admitClaim(made, { ...wanted, ...change })).toBe("keep");
    expect(admitClaim(modifyClaim(made, { terms: { policy: "discard" } }), { ...wanted, ...change })).toBe(
      "keep",
    );
  });

  it.each([
    ["a larger size", { size: { requiredBytes: GI + 1, limitBytes: 0 } }, "1 GiB"],
    ["a smaller limit", { size: { requiredBytes: 0, limitBytes: GI - 1 } }, "1 GiB"],
    ["another parameter", { parameters: new Map([["cache", "go"]]) }, '"cache" as "npm"'],
    ["one less", { parameters: new Map() }, '"cache" as "npm"'],
    ["one more", { parameters: new Map([...wanted.parameters, ["key", "x"]]) }, 'no "key"'],
  ] as ReadonlyArray<readonly [string, Partial<WantedClaim>, string]>)(
    "refuses %s as a conflict",
    (_, change, why) => {
      expect(() => admitClaim(made, { ...wanted, ...change })).toThrow(failing("conflict", why));
    },
  );

  it("waits for one of the same name that is being deleted", () => {
    expect(() => admitClaim(deleteClaim(made, 1), wanted)).toThrow(failing("busy", '"pvc-1"'));
  });
});
