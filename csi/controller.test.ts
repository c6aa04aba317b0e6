// The translation between a provisioner's calls and the journeys of claims.
import { describe, expect, it } from "vitest";
import { Failure, type Reason } from "../lib/core/failure.ts";
import type { ControllerJourneys } from "./controller.ts";
import { openTestDoor } from "./testing/door.ts";

const CREATE = "csi.v1.Controller/CreateVolume";
const DELETE = "csi.v1.Controller/DeleteVolume";
const VALIDATE = "csi.v1.Controller/ValidateVolumeCapabilities";
const CAPACITY = "csi.v1.Controller/GetCapacity";
const MODIFY = "csi.v1.Controller/ControllerModifyVolume";

const capability = {
  mount: { fs_type: "xfs", mount_flags: [], volume_mount_group: "" },
  access_mode: { mode: "SINGLE_NODE_WRITER" },
};
const ours = { access: "mount", mode: "single-node-writer", fsType: "xfs", mountFlags: [], mountGroup: "" };

const wire = {
  name: "pvc-1",
  capacity_range: { required_bytes: "5368709120", limit_bytes: "6442450944" },
  volume_capabilities: [capability, { ...capability, access_mode: { mode: "MULTI_NODE_READER_ONLY" } }],
  parameters: { cache: "c", constructor: "k", "csi.storage.k8s.io/pvc/name": "build" },
  mutable_parameters: { policy: "pull" },
  secrets: { username: "u" },
  accessibility_requirements: {
    requisite: [{ segments: { "csi.larder.test/node": "node-1", zone: "z" } }, { segments: { zone: "y" } }],
    preferred: [{ segments: { "csi.larder.test/node": "node-2" } }],
  },
};

const claim = { volumeId: "claim-1", bytes: 2 ** 52, context: new Map([["cache", "c"]]) };

/** What the journey was asked, and what the caller was answered. */
async function asking(
  journey: keyof ControllerJourneys,
  call: string,
  request: object,
  answer: unknown = claim,
) {
  const seen: unknown[] = [];
  const said = async (request: unknown) => {
    seen.push(request);
    if (answer instanceof Failure) throw answer;
    return answer as never;
  };
  await using door = await openTestDoor({ [journey]: said });
  const reply = await door.client.call(call, request).catch(() => undefined);
  const refusal = reply === undefined ? await door.client.refusal(call, request) : undefined;
  return { seen, reply, refusal };
}

describe("controllerService()", () => {
  it("translates what a claim is asked for with, whole", async () => {
    const { seen } = await asking("createClaim", CREATE, wire);
    expect(seen).toEqual([
      {
        name: "pvc-1",
        size: { requiredBytes: 5 * 2 ** 30, limitBytes: 6 * 2 ** 30 },
        capabilities: [ours, { ...ours, mode: "multi-node-reader-only" }],
        parameters: new Map(Object.entries(wire.parameters)),
        mutable: new Map([["policy", "pull"]]),
        secrets: new Map([["username", "u"]]),
        topology: [
          new Map([
            ["csi.larder.test/node", "node-1"],
            ["zone", "z"],
          ]),
          new Map([["zone", "y"]]),
        ],
        hasSource: false,
      },
    ]);
  });

  it("answers a claim with its size, its context and this node", async () => {
    const { reply } = await asking("createClaim", CREATE, wire);
    expect(reply).toEqual({
      volume: {
        volume_id: "claim-1",
        capacity_bytes: "4503599627370496",
        volume_context: { cache: "c" },
        accessible_topology: [{ segments: { "csi.larder.test/node": "node-1" } }],
        content_source: null,
      },
    });
  });

  it("takes what is preferred for where a claim must be when nothing is required", async () => {
    const { preferred } = wire.accessibility_requirements;
    const { seen } = await asking("createClaim", CREATE, {
      ...wire,
      accessibility_requirements: { preferred },
    });
    expect(seen).toMatchObject([{ topology: [new Map([["csi.larder.test/node", "node-2"]])] }]);
  });

  it("takes a claim without size, topology and settings for one without wishes", async () => {
    const { seen } = await asking("createClaim", CREATE, { name: "n", volume_capabilities: [capability] });
    expect(seen).toMatchObject([
      { size: { requiredBytes: 0, limitBytes: 0 }, topology: [], parameters: new Map(), mutable: new Map() },
    ]);
  });

  it.each([{ snapshot: { snapshot_id: "s" } }, { volume: { volume_id: "v" } }])(
    "tells the journey that a copy is wanted, as of %j",
    async (source) => {
      const { seen } = await asking("createClaim", CREATE, { ...wire, volume_content_source: source });
      expect(seen).toMatchObject([{ hasSource: true }]);
    },
  );

  it("takes a limit beyond all that can be counted for one that nothing reaches", async () => {
    const capacity_range = { required_bytes: 1, limit_bytes: "9223372036854775807" };
    const { seen } = await asking("createClaim", CREATE, { ...wire, capacity_range });
    expect(seen).toMatchObject([{ size: { requiredBytes: 1, limitBytes: Number.MAX_SAFE_INTEGER } }]);
  });

  it.each([
    [{ name: "" }, "INVALID_ARGUMENT", '"name"'],
    [{ name: "a\u0007b" }, "INVALID_ARGUMENT", "a control character"],
    [{ name: "x".repeat(129) }, "INVALID_ARGUMENT", '"name" is 129 bytes'],
    [{ volume_capabilities: [] }, "INVALID_ARGUMENT", '"volume_capabilities"'],
    [{ volume_capabilities: [capability, { mount: {} }] }, "INVALID_ARGUMENT", "no access mode"],
    [{ capacity_range: { required_bytes: -1 } }, "INVALID_ARGUMENT", '"required_bytes" is -1'],
    [
      { capacity_range: { limit_bytes: "-9223372036854775808" } },
      "INVALID_ARGUMENT",
      '"limit_bytes" is -9223',
    ],
    [
      { capacity_range: { required_bytes: "9223372036854775807" } },
      "OUT_OF_RANGE",
      "9223372036854775807 bytes",
    ],
    [{ parameters: { a: "x".repeat(5000) } }, "INVALID_ARGUMENT", '"parameters" is 5001 bytes'],
  ])("refuses to make %j", async (change, code, why) => {
    const { seen, refusal } = await asking("createClaim", CREATE, { ...wire, ...change });
    expect(refusal).toEqual({ code, message: expect.stringContaining(why) });
    expect(seen).toEqual([]);
  });

  it.each<[Reason, string]>([
    ["full", "RESOURCE_EXHAUSTED"],
    ["conflict", "ALREADY_EXISTS"],
    ["out-of-range", "OUT_OF_RANGE"],
    ["busy", "ABORTED"],
    ["unsupported", "INVALID_ARGUMENT"],
    ["not-found", "NOT_FOUND"],
  ])("answers %s as the specification's table for CreateVolume has it", async (reason, code) => {
    const { refusal } = await asking("createClaim", CREATE, wire, new Failure(reason, "Cannot make it"));
    expect(refusal).toEqual({ code, message: "Cannot make it" });
  });

  it("translates a delete", async () => {
    const request = { volume_id: "v", secrets: { token: "t" } };
    const { seen, reply } = await asking("deleteClaim", DELETE, request, "It has another writer");
    expect(seen).toEqual([{ volumeId: "v", secrets: new Map([["token", "t"]]) }]);
    expect(reply).toEqual({});
  });

  it.each<[Reason, string]>([
    ["in-use", "FAILED_PRECONDITION"],
    ["pending", "ABORTED"],
  ])("answers %s as the specification's table for DeleteVolume has it", async (reason, code) => {
    const { refusal } = await asking(
      "deleteClaim",
      DELETE,
      { volume_id: "v" },
      new Failure(reason, "3 of 9"),
    );
    expect(refusal).toEqual({ code, message: "3 of 9" });
  });

  const question = {
    volume_id: "v",
    volume_context: { a: "1" },
    volume_capabilities: [capability],
    parameters: { b: "2" },
    mutable_parameters: { policy: "pull" },
    secrets: { username: "u" },
  };

  it("translates a question about capabilities, and confirms it word for word", async () => {
    const { seen, reply } = await asking("validateClaim", VALIDATE, question, { confirmed: true });
    expect(seen).toEqual([
      {
        volumeId: "v",
        capabilities: [ours],
        context: new Map([["a", "1"]]),
        parameters: new Map([["b", "2"]]),
        mutable: new Map([["policy", "pull"]]),
        secrets: new Map([["username", "u"]]),
      },
    ]);
    const { volume_context, parameters, mutable_parameters } = question;
    expect(reply).toEqual({
      confirmed: {
        volume_context,
        volume_capabilities: [{ ...capability, access_type: "mount" }],
        parameters,
        mutable_parameters,
      },
      message: "",
    });
  });

  it("says in words what it does not confirm", async () => {
    const verdict = { confirmed: false, message: "It is no block device" };
    const { reply } = await asking("validateClaim", VALIDATE, question, verdict);
    expect(reply).toEqual({ confirmed: null, message: "It is no block device" });
  });

  it("answers a question about an unknown volume with NOT_FOUND", async () => {
    const failure = new Failure("not-found", 'There is no volume "v"');
    const { refusal } = await asking("validateClaim", VALIDATE, question, failure);
    expect(refusal).toEqual({ code: "NOT_FOUND", message: 'There is no volume "v"' });
  });

  const room = { availableBytes: 2 ** 52, maximumBytes: 0, minimumBytes: 2 ** 20 };

  it("translates a question about room", async () => {
    const { seen, reply } = await asking(
      "readCapacity",
      CAPACITY,
      {
        volume_capabilities: [capability],
        parameters: { quota: "required" },
        accessible_topology: { segments: { "csi.larder.test/node": "node-2" } },
      },
      room,
    );
    expect(seen).toEqual([
      {
        capabilities: [ours],
        parameters: new Map([["quota", "required"]]),
        topology: new Map([["csi.larder.test/node", "node-2"]]),
      },
    ]);
    expect(reply).toEqual({
      available_capacity: "4503599627370496",
      maximum_volume_size: { value: "0" },
      minimum_volume_size: { value: "1048576" },
    });
  });

  it("takes an empty question about room for one about this node", async () => {
    const { seen } = await asking("readCapacity", CAPACITY, {}, room);
    expect(seen).toEqual([{ capabilities: [], parameters: new Map() }]);
  });

  it("translates a change, and grants one of nothing", async () => {
    const { seen, reply } = await asking("modifyClaim", MODIFY, {
      volume_id: "v",
      mutable_parameters: { outcome: "success" },
      secrets: { username: "u" },
    });
    expect(seen).toEqual([
      {
        volumeId: "v",
        mutable: new Map([["outcome", "success"]]),
        secrets: new Map([["username", "u"]]),
      },
    ]);
    expect(reply).toEqual({});
    expect((await asking("modifyClaim", MODIFY, { volume_id: "v" })).reply).toEqual({});
  });

  it.each([DELETE, MODIFY, VALIDATE])("asks for the id of the volume in %s", async (call) => {
    await using door = await openTestDoor();
    const refusal = await door.client.refusal(call, { volume_capabilities: [capability] });
    expect(refusal).toEqual({ code: "INVALID_ARGUMENT", message: expect.stringContaining('"volume_id"') });
  });

  it("states what it can, and not that it could expand", async () => {
    await using door = await openTestDoor();
    expect(await door.client.call("csi.v1.Controller/ControllerGetCapabilities")).toMatchObject({
      capabilities: [
        { rpc: { type: "CREATE_DELETE_VOLUME" } },
        { rpc: { type: "GET_CAPACITY" } },
        { rpc: { type: "MODIFY_VOLUME" } },
        { rpc: { type: "SINGLE_NODE_MULTI_WRITER" } },
      ],
    });
    const refusal = await door.client.refusal("csi.v1.Controller/ControllerExpandVolume", { volume_id: "v" });
    expect(refusal.code).toBe("UNIMPLEMENTED");
  });

  it("lets no secret and no attribute that is not known into the log", async () => {
    await using door = await openTestDoor({ createClaim: async () => claim });
    const secret = { ...wire, secrets: { password: "pass-word-1" } };
    await door.client.call(CREATE, { ...secret, parameters: { cache: "npm", note: "pass-word-2" } });
    await door.client.refusal(DELETE, { ...secret, volume_id: "v", secrets: { password: "pass-word-3" } });
    expect(door.lines[0]?.fields).toMatchObject({ name: "pvc-1", cache: "npm", policy: "pull" });
    expect(JSON.stringify(door.lines)).not.toContain("pass-word");
  });
});
