import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { isFailure } from "./failure.ts";
import {
  formatRecord,
  type InlineRecord,
  parseRecord,
  podDirectoryOf,
  recordName,
  rootsOfInline,
} from "./record.ts";

const record: InlineRecord = {
  kind: "inline",
  volumeId: "csi-1",
  target: "/var/lib/kubelet/pods/u/volumes/kubernetes.io~csi/v/mount",
  readOnly: true,
  ephemeral: true,
  podUid: "u",
  mode: "single-node-writer",
  attributes: new Map([["reference", "r.example/a:b"]]),
  digest: digestOf("m"),
  treeKey: digestOf("t"),
  boot: "b",
};
const text = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const written = () => JSON.parse(new TextDecoder().decode(formatRecord(record))) as Record<string, unknown>;

describe("parseRecord()", () => {
  it("reads what formatRecord() writes, whatever ids and attributes are called", () => {
    const odd: InlineRecord = {
      ...record,
      volumeId: 'a/../"\n\u{1F4BE}\0',
      target: "/a b\nc",
      attributes: new Map([
        ["__proto__", "x"],
        ["toString", ""],
      ]),
    };
    expect(parseRecord(formatRecord(odd), "n")).toEqual(odd);
    for (const scratch of [
      { bytes: 2 ** 30, inodes: 9 },
      { bytes: 1, inodes: 1, project: 7 },
    ])
      expect(parseRecord(formatRecord({ ...record, scratch }), "n")).toEqual({ ...record, scratch });
    const grouped = { ...record, grouped: [digestOf("g")] };
    expect(parseRecord(formatRecord(grouped), "n")).toEqual(grouped);
    expect([rootsOfInline(record), rootsOfInline(grouped)]).toEqual([
      [digestOf("t")],
      [digestOf("t"), digestOf("g")],
    ]);
    const { podUid: _, ...claimed } = record;
    expect(parseRecord(formatRecord(claimed), "n")).toEqual(claimed);
  });

  it.each([
    ["half of one", formatRecord(record).slice(0, 40), "corrupt", "not JSON"],
    ["an empty file", text(""), "corrupt", "not JSON"],
    ["zeros", new Uint8Array(100), "corrupt", "not JSON"],
    ["no version", text({ kind: "inline" }), "corrupt", "version is missing"],
    ["a newer version", text({ ...written(), version: 2 }), "unsupported", "version is 2"],
    ["another kind", text({ ...written(), kind: "claim" }), "unsupported", 'kind "claim"'],
    ["no target", text({ ...written(), target: null }), "corrupt", "target is missing"],
    ["half a scratch", text({ ...written(), scratch: { bytes: 1 } }), "corrupt", "inodes is missing"],
    ["a bad digest", text({ ...written(), digest: "x" }), "corrupt", "digest is refused"],
    [
      "a switch in words",
      text({ ...written(), readOnly: "true" }),
      "corrupt",
      "readOnly is not true or false",
    ],
  ] as const)("refuses %s, naming the file", (_, bytes, reason, why) => {
    expect(() => parseRecord(bytes, "file-1")).toThrow(
      expect.toSatisfy(
        (error) =>
          isFailure(error, reason) && error.message.includes(why) && error.message.includes('"file-1"'),
      ),
    );
  });
});

describe("recordName()", () => {
  it("is a plain file name, another for every volume and target", () => {
    const pairs: ReadonlyArray<readonly [string, string]> = [
      ["a", "/b"],
      ["a", "/c"],
      ["a/", "b"],
      ["../../etc", "/b"],
      ["x".repeat(128), "/y".repeat(2000)],
    ];
    const names = pairs.map(([id, target]) => recordName(id, target));
    expect(new Set(names).size).toBe(pairs.length);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("podDirectoryOf()", () => {
  it.each([
    ["/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~csi/v/mount", "/var/lib/kubelet/pods/u-1"],
    ["/k\n/pods/u/volumes/kubernetes.io~csi/v w/mount", "/k\n/pods/u"],
    ["/tmp/sanity/target", "/tmp/sanity"],
    ["/target", "/"],
  ])("of %j is %j", (target, directory) => {
    expect(podDirectoryOf(target)).toBe(directory);
  });
});
