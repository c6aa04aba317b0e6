import { describe, expect, it } from "vitest";
import {
  type ClaimRecord,
  claimIdOf,
  committedLayerId,
  formatClaimRecord,
  parseClaimRecord,
  rootsOfClaim,
} from "./claim-record.ts";
import { formatCache } from "./claim-settings.ts";
import { digestOf } from "./digest.ts";
import { isFailure } from "./failure.ts";
import { committed, made, settings, used } from "./testing/claims.ts";

const everything: ClaimRecord = {
  ...committed,
  name: 'a/../"\n\u{1F4BE}\0',
  parameters: new Map([
    ["__proto__", "x"],
    ["cache", ""],
  ]),
  settings: {
    ...settings,
    from: { host: "r.example", repository: "base", digest: digestOf("f") },
    maxSizeBytes: 1,
    pullPolicy: "Never",
    mediaTypes: ["a/b"],
    platform: { os: "linux", architecture: "arm", variant: "v7" },
    plainHttp: false,
    insecure: true,
    inodes: 5,
    uid: 0,
    gid: 7,
    mode: 0o2775,
  },
  project: 0x20000000,
  warning: "Nothing of this claim will be written back",
  look: {
    atMs: 4,
    head: { kind: "absent" },
    restored: { kind: "found", digest: digestOf("r"), bytes: 3, version: { timeMs: 2, id: "v" } },
  },
  baseSoughtMs: 5,
  base: { layers: [], origin: "empty", bytes: 7, isTainted: true, note: "The claim starts empty" },
  group: { gid: 0, layers: [digestOf("g")], isApplied: false },
  stage: { path: "/stage", boot: "b" },
  publications: [{ target: "/t", readOnly: true }],
  outcome: "failure",
  wentDown: { isUsedSince: false },
  unsynced: "b",
  push: { manifest: digestOf("p"), versionTag: "k.1.a", isKeyless: false, state: "begun" },
  letGo: "nothing changed in it",
};
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const written = (record: ClaimRecord) =>
  JSON.parse(new TextDecoder().decode(formatClaimRecord(record))) as Record<string, unknown>;

describe("parseClaimRecord()", () => {
  it.each([
    ["just made", made],
    ["used", used],
    ["committed", committed],
    ["with everything", everything],
  ])("reads what formatClaimRecord() writes of one that is %s", (_, record) => {
    expect(parseClaimRecord(formatClaimRecord(record), "n")).toEqual(record);
  });

  it("leaves out what is not there", () => {
    const { cache: _, ...rest } = settings;
    const plain = { ...made, settings: rest };
    expect(parseClaimRecord(formatClaimRecord(plain), "n")).toEqual(plain);
  });

  it.each([
    ["half of one", formatClaimRecord(made).slice(0, 99), "corrupt", "not JSON"],
    ["zeros", new Uint8Array(64), "corrupt", "not JSON"],
    ["a newer one", text({ ...written(made), version: 2 }), "unsupported", "version is 2"],
    ["an inline one", text({ ...written(made), kind: "inline" }), "unsupported", 'kind "inline"'],
    ["no settings", text({ ...written(made), settings: null }), "corrupt", "settings is missing"],
    [
      "a strange policy",
      text({ ...written(made), terms: { policy: "x" } }),
      "corrupt",
      'terms.policy is "x"',
    ],
    ["a negative size", text({ ...written(made), bytes: -1 }), "corrupt", "bytes is -1"],
    [
      "a broken layer",
      text({ ...written(used), base: { layers: ["x"], origin: "head", isTainted: false } }),
      "corrupt",
      '"x"',
    ],
    [
      "a broken reference",
      text({ ...written(made), settings: { ...settings, from: "nginx" } }),
      "corrupt",
      'Cannot read the reference "nginx"',
    ],
  ] as const)("refuses %s, naming the file", (_, bytes, reason, why) => {
    expect(() => parseClaimRecord(bytes, "file-1")).toThrow(
      expect.toSatisfy(
        (error) =>
          isFailure(error, reason) && error.message.includes(why) && error.message.includes('"file-1"'),
      ),
    );
  });
});

describe("claimIdOf()", () => {
  it("is one id for one name, short enough for CSI", () => {
    expect(claimIdOf("pvc-1")).toBe(claimIdOf("pvc-1"));
    expect(claimIdOf("x".repeat(10_000))).toMatch(/^claim-[0-9a-f]{64}$/);
    expect(claimIdOf("a")).not.toBe(claimIdOf("b"));
  });
});

describe("committedLayerId()", () => {
  it("is another for the same name made anew", () => {
    expect(committedLayerId(made)).toBe(committedLayerId(committed));
    expect(committedLayerId({ ...made, id: "k4" })).not.toBe(committedLayerId(made));
  });
});

describe("rootsOfClaim()", () => {
  it("are all digests of the Record", () => {
    expect(rootsOfClaim(made)).toEqual([]);
    const push = { manifest: digestOf("p"), versionTag: "k", isKeyless: false, state: "begun" } as const;
    expect(rootsOfClaim({ ...committed, push })).toEqual(["a", "b", "t", "m", "c", "p"].map(digestOf));
  });
});

describe("formatCache()", () => {
  it("names the repository with its host", () => {
    expect(formatCache({ host: "r.example", repository: "a/b" })).toBe("r.example/a/b");
  });
});
