// The translation between CSI's messages and the journeys' requests.
import { describe, expect, it } from "vitest";
import { Failure } from "../lib/core/failure.ts";
import type { PublishRequest, UnpublishRequest } from "../lib/volumes/requests.ts";
import { openTestDoor } from "./testing/door.ts";

const PUBLISH = "csi.v1.Node/NodePublishVolume";
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
    expect(await door.client.call("csi.v1.Node/NodeGetCapabilities")).toMatchObject({
      capabilities: [{ rpc: { type: "GET_VOLUME_STATS" } }],
    });
    expect(await door.client.call("csi.v1.Identity/GetPluginCapabilities")).toMatchObject({
      capabilities: [{ service: { type: "VOLUME_ACCESSIBILITY_CONSTRAINTS" } }],
    });
    expect(await door.client.call("csi.v1.Identity/GetPluginInfo")).toMatchObject({
      name: "csi.larder.test",
    });
    expect(await door.client.call("csi.v1.Identity/Probe")).toEqual({ ready: { value: true } });
  });
});
