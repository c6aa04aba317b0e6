import { describe, expect, it } from "vitest";
import {
  admitPolicy,
  claimableBytes,
  planRoom,
  type Room,
  unusedPromises,
  weighPromises,
} from "./capacity.ts";
import { isFailure } from "./failure.ts";

const room: Room = {
  freeBytes: 100,
  collectableBytes: 50,
  promises: [
    { bytes: 40, usedBytes: 10 },
    { bytes: 20, usedBytes: 25 },
  ],
  overcommit: 1,
};

describe("unusedPromises()", () => {
  it("counts what is promised and not used, and nothing for what is over its limit", () => {
    expect(unusedPromises(room.promises)).toBe(30);
    expect(unusedPromises([])).toBe(0);
  });
});

describe("weighPromises()", () => {
  const promises = [
    { bytes: 40, usedBytes: 10 },
    { bytes: 20, usedBytes: 25, isCommitted: false },
    { bytes: 50, usedBytes: 49, isCommitted: true },
  ];

  it("keeps back what is not used yet, and counts what was written until it is committed", () => {
    expect(weighPromises(promises, 1)).toEqual({ unusedBytes: 31, heldBytes: 66 });
    expect(weighPromises([], 1)).toEqual({ unusedBytes: 0, heldBytes: 0 });
  });

  it("keeps back its part where the room is given several times over, in whole bytes", () => {
    expect(weighPromises(promises, 2)).toEqual({ unusedBytes: 16, heldBytes: 51 });
  });
});

describe("claimableBytes()", () => {
  it.each([
    ["free and collectable, less what is promised", {}, 120],
    ["more, where more is given than there is", { overcommit: 2 }, 270],
    ["nothing, where others took it", { freeBytes: 0, collectableBytes: 10 }, 0],
    ["whole bytes", { overcommit: 1.01 }, 121],
  ] as const)("is %s", (_, change, bytes) => {
    expect(claimableBytes({ ...room, ...change })).toBe(bytes);
  });
});

describe("planRoom()", () => {
  it("collects nothing while the claim fits as it is, else what is missing", () => {
    expect(planRoom(70, room)).toBe(0);
    expect(planRoom(71, room)).toBe(1);
    expect(planRoom(120, room)).toBe(50);
    expect(planRoom(200, { ...room, overcommit: 2 })).toBe(15);
  });

  it("refuses what no collection makes room for, with both sizes", () => {
    expect(() => planRoom(2048, room)).toThrow(
      expect.toSatisfy(
        (error) =>
          isFailure(error, "full") && error.message.includes("2 KiB") && error.message.includes("120 B"),
      ),
    );
  });

  it("never plans more than can be collected", () => {
    for (let bytes = 0; bytes <= claimableBytes(room); bytes++) {
      expect(planRoom(bytes, room)).toBeLessThanOrEqual(room.collectableBytes);
    }
  });
});

describe("admitPolicy()", () => {
  it("leaves the policy as it is while write-backs are within their bound", () => {
    expect(admitPolicy("pull-push", { pendingBytes: 10, boundBytes: 10 })).toEqual({ policy: "pull-push" });
  });

  it("gives claims without write-back beyond it, and says so", () => {
    for (const policy of ["pull-push", "push"] as const) {
      const admitted = admitPolicy(policy, { pendingBytes: 4096, boundBytes: 1024 });
      expect(admitted.policy).toBe("pull");
      expect(admitted.warning).toMatch(/4 KiB.*1 KiB \(claims\.pending\)/);
    }
  });

  it("warns nobody who writes nothing back anyway", () => {
    for (const policy of ["pull", "discard"] as const) {
      expect(admitPolicy(policy, { pendingBytes: 4096, boundBytes: 1024 })).toEqual({ policy });
    }
  });
});
