import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { type InlineRecord, recordName } from "./record.ts";
import { planRecovery, type RecoveryStep, type Remains } from "./recovery.ts";

const targetOf = (pod: string) => `/k/pods/${pod}/volumes/kubernetes.io~csi/v/mount`;

function recordOf(pod: string): InlineRecord {
  return {
    kind: "inline",
    volumeId: `csi-${pod}`,
    target: targetOf(pod),
    readOnly: true,
    ephemeral: true,
    mode: "single-node-writer",
    attributes: new Map(),
    digest: digestOf("m"),
    treeKey: digestOf("t"),
    boot: "b",
  };
}
const nameOf = (pod: string) => recordName(`csi-${pod}`, targetOf(pod));
const recordsOf = (...pods: readonly string[]) => new Map(pods.map((pod) => [nameOf(pod), recordOf(pod)]));

const nothing: Remains = {
  records: new Map(),
  unreadable: [],
  mounts: [],
  podDirectories: new Set(),
  volumes: [],
  ingest: [],
};

/** What remains once `step` is done. */
function apply(remains: Remains, step: RecoveryStep): Remains {
  if (step.kind === "trash") {
    return { ...remains, [step.folder]: remains[step.folder].filter((name) => name !== step.name) };
  }
  if (step.kind === "remove-record") {
    return { ...remains, records: new Map([...remains.records].filter(([name]) => name !== step.name)) };
  }
  const at = remains.mounts.findLastIndex(({ target }) => target === step.target);
  return { ...remains, mounts: remains.mounts.toSpliced(at, 1) };
}

describe("planRecovery()", () => {
  it("has nothing to do where nothing is amiss", () => {
    expect(planRecovery(nothing)).toEqual([]);
    expect(
      planRecovery({
        ...nothing,
        records: recordsOf("p"),
        mounts: [{ target: targetOf("p") }, { target: "/" }],
        podDirectories: new Set(["/k/pods/p"]),
        volumes: [nameOf("p")],
      }),
    ).toEqual([]);
  });

  it("keeps a Record whose mount is missing while the pod is there: the kubelet publishes it again", () => {
    expect(
      planRecovery({ ...nothing, records: recordsOf("p"), podDirectories: new Set(["/k/pods/p"]) }),
    ).toEqual([]);
  });

  it("lets a volume go whose pod is gone: every mount, its directory, and its Record last", () => {
    const target = targetOf("p");
    expect(
      planRecovery({
        ...nothing,
        records: recordsOf("p"),
        mounts: [{ target }, { target: "/other" }, { target }],
        volumes: [nameOf("p")],
      }),
    ).toEqual([
      { kind: "unmount", target },
      { kind: "unmount", target },
      { kind: "trash", folder: "volumes", name: nameOf("p") },
      { kind: "remove-record", name: nameOf("p") },
    ]);
  });

  it("throws away what no Record speaks of, and whatever was being made", () => {
    expect(planRecovery({ ...nothing, volumes: ["stray"], ingest: ["half", "other"] })).toEqual([
      { kind: "trash", folder: "volumes", name: "stray" },
      { kind: "trash", folder: "ingest", name: "half" },
      { kind: "trash", folder: "ingest", name: "other" },
    ]);
  });

  it("touches nothing of a Record that it cannot read", () => {
    expect(planRecovery({ ...nothing, unreadable: ["newer"], volumes: ["newer"] })).toEqual([]);
  });

  it("drops a Record under another's name without touching the volume it speaks of", () => {
    const records = new Map([...recordsOf("p"), ["copy", recordOf("p")]]);
    expect(
      planRecovery({
        ...nothing,
        records,
        mounts: [{ target: targetOf("p") }],
        podDirectories: new Set(["/k/pods/p"]),
        volumes: [nameOf("p")],
      }),
    ).toEqual([{ kind: "remove-record", name: "copy" }]);
  });

  it("comes to the same end, stopped after any step and planned again", () => {
    const start: Remains = {
      ...nothing,
      records: recordsOf("gone", "here"),
      mounts: [{ target: targetOf("gone") }, { target: targetOf("here") }, { target: targetOf("gone") }],
      podDirectories: new Set(["/k/pods/here"]),
      volumes: [nameOf("gone"), nameOf("here"), "stray"],
      ingest: ["half"],
    };
    const end = planRecovery(start).reduce(apply, start);
    expect(planRecovery(end)).toEqual([]);
    expect([...end.records.keys()]).toEqual([nameOf("here")]);
    for (let stop = 0; stop < planRecovery(start).length; stop++) {
      const stopped = planRecovery(start).slice(0, stop).reduce(apply, start);
      expect(planRecovery(stopped).reduce(apply, stopped)).toEqual(end);
    }
  });
});
