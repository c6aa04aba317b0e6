// The translation between CSI's messages and the journeys' requests.
import { describe, expect, it } from "vitest";
import { Failure } from "../lib/core/failure.ts";
import type { PublishRequest, UnpublishRequest } from "../lib/volumes/requests.ts";
import { servicesOf } from "./services.ts";
import type { DoorClient } from "./testing/client.ts";
import { openTestDoor, PLATE } from "./testing/door.ts";

const PUBLISH = "csi.v1.Node/NodePublishVolume";
const STAGE = "csi.v1.Node/NodeStageVolume";
const UNSTAGE = "csi.v1.Node/NodeUnstageVolume";
const EXPAND = "csi.v1.Node/NodeExpandVolume";
const STATS = "csi.v1.Node/NodeGetVolumeStats";

const wire = {
  volume_id: "csi-1",
  target_path: "/pods/u/volumes/kubernetes.io~csi/v/mount",
  volume_capability: {
    mount: { fs_type: "xfs", mount_flags: ["noatime"], volume_mount_group: "7" },
    access_mode: { mode: "SINGLE_NODE_WRITER" },
  },
  readonly: true,
  secrets: { username: "u" },
  volume_context: { reference: "r.example/a:1", constructor: "c", "csi.storage.k8s.io/ephemeral": "true" },
};

async function publishing(request: object) {
  const seen: PublishRequest[] = [];
  const publish = async (request: PublishRequest) => void seen.push(request);
  await using door = await openTestDoor({ publish });
  const refusal = await door.client.refusal(PUBLISH, request).catch(() => undefined);
  return { refusal, seen: seen[0] };
}

const wireStage = {
  volume_id: "claim-1",
  staging_target_path: "/plugins/csi.larder.test/1//globalmount/",
  volume_capability: {
    mount: { volume_mount_group: "7" },
    access_mode: { mode: "SINGLE_NODE_MULTI_WRITER" },
  },
  publish_context: { device: "/dev/mock" },
  secrets: { username: "u" },
  volume_context: { cache: "c" },
};

/** What a journey of claims was asked, and how the call was refused. */
async function asked(journey: "stage" | "unstage" | "expand", call: string, request: object) {
  const seen: unknown[] = [];
  const answer = async (request: unknown) => {
    seen.push(request);
    return { bytes: 2 ** 40 };
  };
  await using door = await openTestDoor({ [journey]: answer });
  const refusal = await door.client.refusal(call, request).catch(() => ({ code: "OK", message: "" }));
  return { ...refusal, seen };
}

describe("nodeService()", () => {
  it("translates a publish whole", async () => {
    const { seen } = await publishing(wire);
    expect(seen).toEqual({
      volumeId: "csi-1",
      target: wire.target_path,
      readOnly: true,
      attributes: new Map(Object.entries(wire.volume_context)),
      secrets: new Map([["username", "u"]]),
      capability: {
        access: "mount",
        mode: "single-node-writer",
        fsType: "xfs",
        mountFlags: ["noatime"],
        mountGroup: "7",
      },
    });
  });

  it.each([
    ["SINGLE_NODE_READER_ONLY", "single-node-reader-only"],
    ["MULTI_NODE_READER_ONLY", "multi-node-reader-only"],
    ["MULTI_NODE_SINGLE_WRITER", "multi-node-single-writer"],
    ["MULTI_NODE_MULTI_WRITER", "multi-node-multi-writer"],
    ["SINGLE_NODE_SINGLE_WRITER", "single-node-single-writer"],
    ["SINGLE_NODE_MULTI_WRITER", "single-node-multi-writer"],
  ])("knows the access mode %s", async (mode, ours) => {
    const { seen } = await publishing({ ...wire, volume_capability: { block: {}, access_mode: { mode } } });
    expect(seen?.capability).toEqual({
      access: "block",
      mode: ours,
      fsType: "",
      mountFlags: [],
      mountGroup: "",
    });
  });

  it.each([
    [{ volume_id: "" }, "volume_id"],
    [{ target_path: "" }, "target_path"],
    [{ volume_capability: undefined }, "volume_capability"],
    [{ volume_capability: { access_mode: { mode: "SINGLE_NODE_WRITER" } } }, "neither mount nor block"],
    [{ volume_capability: { mount: {} } }, "no access mode"],
    [{ volume_capability: { mount: {}, access_mode: { mode: 0 } } }, "no access mode"],
    [{ volume_capability: { mount: {}, access_mode: { mode: 99 } } }, "no access mode"],
    [{ target_path: "some/path" }, '"some/path": it is not absolute'],
    [{ target_path: "/a/../b" }, 'it holds "." or ".."'],
    [{ target_path: "/a/./b" }, 'it holds "." or ".."'],
    [{ target_path: "//" }, "the root directory"],
    [{ staging_target_path: "stage" }, 'the staging path "stage": it is not absolute'],
    [{ volume_context: { a: "x".repeat(5000) } }, '"volume_context" is 5001 bytes'],
  ])("refuses %j", async (change, why) => {
    const { refusal, seen } = await publishing({ ...wire, ...change });
    expect(refusal).toEqual({ code: "INVALID_ARGUMENT", message: expect.stringContaining(why) });
    expect(seen).toBeUndefined();
  });

  it("keeps targets as they are spelt, but for doubled and final slashes", async () => {
    const { seen } = await publishing({ ...wire, target_path: "/a//b c\n/…/" });
    expect(seen?.target).toBe("/a/b c\n/…");
  });

  it("tells where a claim was staged", async () => {
    const { seen } = await publishing({ ...wire, staging_target_path: "/plugins/v/globalmount/" });
    expect(seen?.stagingPath).toBe("/plugins/v/globalmount");
  });

  it("translates a stage whole", async () => {
    const { seen } = await asked("stage", STAGE, wireStage);
    expect(seen).toEqual([
      {
        volumeId: "claim-1",
        path: "/plugins/csi.larder.test/1/globalmount",
        capability: {
          access: "mount",
          mode: "single-node-multi-writer",
          fsType: "",
          mountFlags: [],
          mountGroup: "7",
        },
        context: new Map([["cache", "c"]]),
        secrets: new Map([["username", "u"]]),
      },
    ]);
  });

  it.each([
    [{ volume_id: "" }, "volume_id"],
    [{ staging_target_path: "" }, "staging_target_path"],
    [{ staging_target_path: "a/b" }, 'the staging path "a/b": it is not absolute'],
    [{ staging_target_path: "/a/../b" }, 'it holds "." or ".."'],
    [{ volume_capability: undefined }, "volume_capability"],
    [{ volume_capability: { mount: {} } }, "no access mode"],
  ])("refuses to stage %j", async (change, why) => {
    const { code, message, seen } = await asked("stage", STAGE, { ...wireStage, ...change });
    expect([code, message]).toEqual(["INVALID_ARGUMENT", expect.stringContaining(why)]);
    expect(seen).toEqual([]);
  });

  it("translates an unstage", async () => {
    const request = { volume_id: "v", staging_target_path: "/s/" };
    const { seen } = await asked("unstage", UNSTAGE, request);
    expect(seen).toEqual([{ volumeId: "v", path: "/s" }]);
  });

  it.each([{ volume_id: "v" }, { staging_target_path: "/s" }, { volume_id: "v", staging_target_path: "s" }])(
    "refuses to unstage %j",
    async (request) => {
      expect(await asked("unstage", UNSTAGE, request)).toMatchObject({ code: "INVALID_ARGUMENT", seen: [] });
    },
  );

  it("translates an expand, and leaves it to the journey to judge relative paths", async () => {
    const { seen } = await asked("expand", EXPAND, {
      volume_id: "v",
      volume_path: "some/path",
      staging_target_path: "stage",
      capacity_range: { required_bytes: "1099511627776", limit_bytes: "1099511627777" },
    });
    const size = { requiredBytes: 2 ** 40, limitBytes: 2 ** 40 + 1 };
    expect(seen).toEqual([{ volumeId: "v", path: "some/path", stagingPath: "stage", size }]);
  });

  it("takes an expand without a size or a staging path for one without those wishes", async () => {
    const { seen } = await asked("expand", EXPAND, { volume_id: "v", volume_path: "/p" });
    expect(seen).toEqual([{ volumeId: "v", path: "/p", size: { requiredBytes: 0, limitBytes: 0 } }]);
  });

  it("answers an expand with the size that the claim has now", async () => {
    await using door = await openTestDoor({ expand: async () => ({ bytes: 2 ** 52 }) });
    expect(await door.client.call(EXPAND, { volume_id: "v", volume_path: "/p" })).toEqual({
      capacity_bytes: "4503599627370496",
    });
  });

  it("translates an unpublish", async () => {
    const seen: UnpublishRequest[] = [];
    await using door = await openTestDoor({ unpublish: async (request) => void seen.push(request) });
    await door.client.call("csi.v1.Node/NodeUnpublishVolume", { volume_id: "v", target_path: "/t" });
    expect(seen).toEqual([{ volumeId: "v", target: "/t" }]);
  });

  it("tells the usage of a volume in bytes and in inodes", async () => {
    const usage = { total: 2 ** 52, used: 5, available: 2 ** 52 - 5 };
    const stats = async () => ({ bytes: usage, inodes: { total: 3, used: 1, available: 2 } });
    await using door = await openTestDoor({ stats });
    expect(await door.client.call(STATS, { volume_id: "v", volume_path: "/p" })).toEqual({
      usage: [
        { unit: "BYTES", total: "4503599627370496", used: "5", available: "4503599627370491" },
        { unit: "INODES", total: "3", used: "1", available: "2" },
      ],
    });
  });

  it("leaves it to the journey to judge a relative path of stats", async () => {
    const stats = async ({ path }: { path: string }) => {
      throw new Failure("not-found", `There is no volume at "${path}"`);
    };
    await using door = await openTestDoor({ stats });
    expect(await door.client.refusal(STATS, { volume_id: "v", volume_path: "some/path" })).toEqual({
      code: "NOT_FOUND",
      message: 'There is no volume at "some/path"',
    });
  });

  it("states node, topology and capabilities", async () => {
    await using door = await openTestDoor();
    expect(await door.client.call("csi.v1.Node/NodeGetInfo")).toMatchObject({
      node_id: "node-1",
      max_volumes_per_node: "0",
      accessible_topology: { segments: { "csi.larder.test/node": "node-1" } },
    });
    expect(await door.client.call("csi.v1.Identity/GetPluginInfo")).toMatchObject({
      name: "csi.larder.test",
    });
    expect(await door.client.call("csi.v1.Identity/Probe")).toEqual({ ready: { value: true } });
    expect(await capabilitiesOf(door.client)).toEqual({
      plugin: ["VOLUME_ACCESSIBILITY_CONSTRAINTS", "CONTROLLER_SERVICE", "expansion ONLINE"],
      node: [
        "GET_VOLUME_STATS",
        "STAGE_UNSTAGE_VOLUME",
        "EXPAND_VOLUME",
        "SINGLE_NODE_MULTI_WRITER",
        "VOLUME_MOUNT_GROUP",
      ],
    });
  });

  it("neither states nor serves what only claims need where there are none", async () => {
    const unasked = () => Promise.reject(new Error("The test did not expect this journey"));
    const journeys = { publish: unasked, unpublish: unasked, stats: unasked };
    await using door = await openTestDoor({}, servicesOf(PLATE, { claims: false, journeys }));
    expect(await capabilitiesOf(door.client)).toEqual({
      plugin: ["VOLUME_ACCESSIBILITY_CONSTRAINTS"],
      node: ["GET_VOLUME_STATS"],
    });
    const calls = [STAGE, UNSTAGE, EXPAND, "csi.v1.Controller/CreateVolume"];
    const refusals = await Promise.all(calls.map((call) => door.client.refusal(call, wireStage)));
    expect(refusals.map(({ code }) => code)).toEqual(calls.map(() => "UNIMPLEMENTED"));
  });
});

type Stated = {
  readonly capabilities: ReadonlyArray<{
    readonly service?: { readonly type: string };
    readonly volume_expansion?: { readonly type: string };
    readonly rpc?: { readonly type: string };
  }>;
};

async function capabilitiesOf(client: DoorClient) {
  const plugin = await client.call<Stated>("csi.v1.Identity/GetPluginCapabilities");
  const node = await client.call<Stated>("csi.v1.Node/NodeGetCapabilities");
  return {
    plugin: plugin.capabilities.map(
      ({ service, volume_expansion }) => service?.type ?? `expansion ${volume_expansion?.type}`,
    ),
    node: node.capabilities.map(({ rpc }) => rpc?.type),
  };
}
