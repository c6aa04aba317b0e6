import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { isFailure } from "./failure.ts";
import { type InlineRecord, recordName } from "./record.ts";
import { committed, made } from "./testing/claims.ts";
import { formatVolumeRecord, parseVolumeRecord, volumeRecordName } from "./volume-record.ts";

const inline: InlineRecord = {
  kind: "inline",
  volumeId: "csi-1",
  target: "/t",
  readOnly: true,
  ephemeral: true,
  mode: "single-node-writer",
  attributes: new Map([["reference", "r.example/a:b"]]),
  digest: digestOf("m"),
  treeKey: digestOf("t"),
  boot: "b",
};
const text = (value: string) => new TextEncoder().encode(value);

describe("parseVolumeRecord()", () => {
  it.each([inline, made, committed])("reads what formatVolumeRecord() writes", (record) => {
    expect(parseVolumeRecord(formatVolumeRecord(record), "n")).toEqual(record);
  });

  it.each([
    ["rubbish", "{", "corrupt"],
    ["no object", "[]", "corrupt"],
    ["a kind in numbers", '{"kind":5,"version":1}', "corrupt"],
    ["a kind to come", '{"kind":"snapshot","version":1}', "unsupported"],
    ["a claim to come", '{"kind":"claim","version":9}', "unsupported"],
  ] as const)("refuses %s, naming the file", (_, bytes, reason) => {
    expect(() => parseVolumeRecord(text(bytes), "file-1")).toThrow(
      expect.toSatisfy((error) => isFailure(error, reason) && error.message.includes('"file-1"')),
    );
  });
});

describe("volumeRecordName()", () => {
  it("is one for a claim wherever it is, and one for each target of others", () => {
    const there = { ...made, publications: [{ target: "/t", readOnly: false }] };
    expect(volumeRecordName(there)).toBe(volumeRecordName(made));
    expect(volumeRecordName(inline)).toBe(recordName("csi-1", "/t"));
    expect(volumeRecordName({ ...made, volumeId: "csi-1" })).not.toBe(volumeRecordName(inline));
  });
});
