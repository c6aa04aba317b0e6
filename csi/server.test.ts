// The wrapper as a client sees it: codes, messages, deadlines, cancellation, log lines, measurements.
import { once } from "node:events";
import { Client, credentials } from "@grpc/grpc-js";
import { describe, expect, it, vi } from "vitest";
import { Failure, type Reason } from "../lib/core/failure.ts";
import { openLog } from "../lib/host/log.ts";
import type { Call, PublishRequest } from "../lib/volumes/requests.ts";
import type { Journeys } from "./node.ts";
import { loadService } from "./protocol.ts";
import { openServer } from "./server.ts";
import { constant } from "./service.ts";
import { openTestDoor, openTestLog, type TestDoor } from "./testing/door.ts";

const PUBLISH = "csi.v1.Node/NodePublishVolume";
const UNPUBLISH = "csi.v1.Node/NodeUnpublishVolume";

const publishRequest = (more: object = {}) => ({
  volume_id: "csi-1",
  target_path: "/pods/uid-1/volumes/kubernetes.io~csi/v/mount",
  volume_capability: { mount: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } },
  ...more,
});

const failing = (error: unknown): Partial<Journeys> => ({
  publish: async () => {
    throw error;
  },
});

/** Holds every publish until it is released, and tells when one has begun. */
function heldPublish() {
  const begun = Promise.withResolvers<Call>();
  const release = Promise.withResolvers<void>();
  const publish = (_: PublishRequest, call: Call) => {
    begun.resolve(call);
    return release.promise;
  };
  return { publish, begun: begun.promise, release };
}

const untilCounted = (door: TestDoor, count = 1) =>
  vi.waitUntil(() => door.counted.length >= count, { interval: 5, timeout: 60_000 });

const untilCode = (door: TestDoor) => untilCounted(door).then(() => door.counted[0]?.code);

describe("openServer()", () => {
  it.each([
    ["invalid", "INVALID_ARGUMENT"],
    ["unsupported", "INVALID_ARGUMENT"],
    ["denied", "UNAUTHENTICATED"],
    ["not-found", "NOT_FOUND"],
    ["conflict", "ALREADY_EXISTS"],
    ["in-use", "FAILED_PRECONDITION"],
    ["busy", "ABORTED"],
    ["pending", "ABORTED"],
    ["out-of-range", "OUT_OF_RANGE"],
    ["full", "RESOURCE_EXHAUSTED"],
    ["unavailable", "UNAVAILABLE"],
    ["corrupt", "DATA_LOSS"],
  ] satisfies [Reason, string][])("answers %s with %s and the message", async (reason, code) => {
    await using door = await openTestDoor(failing(new Failure(reason, 'Cannot mount "x": because; do this')));
    expect(await door.client.refusal(PUBLISH, publishRequest())).toEqual({
      code,
      message: 'Cannot mount "x": because; do this',
    });
  });

  it("answers a thrown bug with a fixed text, and logs its stack", async () => {
    const publish = () => {
      throw new TypeError("x of undefined");
    };
    await using door = await openTestDoor({ publish });
    const { code, message } = await door.client.refusal(PUBLISH, publishRequest());
    expect(code).toBe("INTERNAL");
    expect(message).toContain("the log of its plugin");
    expect(message).not.toContain("undefined");
    const line = door.lines.find(({ level }) => level === "error");
    expect(line?.fields["stack"]).toContain("TypeError: x of undefined");
  });

  it("logs of a bug whose call it was, and all that led to it, without the call's secrets", async () => {
    const root = Object.assign(new Error("EUCLEAN: read, by hunter2"), { code: "EUCLEAN" });
    const deep = new Error("x".repeat(8_000), { cause: root });
    await using door = await openTestDoor(failing(new Error("outer", { cause: deep })));
    await door.client.refusal(PUBLISH, publishRequest({ secrets: { password: "hunter2" } }));
    const line = door.lines.find(({ level }) => level === "error");
    const lines: string[] = [];
    openLog({ level: "info", now: () => 0, write: (text) => lines.push(text) }).error("said", line?.fields);
    const said = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    expect(said).toMatchObject({
      method: "NodePublishVolume",
      code: "INTERNAL",
      volume_id: "csi-1",
      target_path: publishRequest().target_path,
      stack: expect.stringMatching(/^Error: outer\n +at /),
      causes: [expect.stringMatching(/^Error: x+/), expect.stringMatching(/^Error: EUCLEAN: read.*\n +at /)],
    });
    expect(lines[0]).not.toContain("hunter2");
  });

  it("answers with the Failure after which something could not be let go of, and logs that too", async () => {
    const failure = new Failure("busy", "Cannot now: ask again");
    await using door = await openTestDoor(failing(new SuppressedError(new Error("stuck"), failure)));
    const refusal = await door.client.refusal(PUBLISH, publishRequest());
    expect(refusal).toEqual({ code: "ABORTED", message: "Cannot now: ask again" });
    expect(JSON.stringify(door.lines.at(-1)?.fields["causes"])).toContain("Error: stuck");
  });

  it.each([new Error("rejected"), "a text", undefined, null, { code: 5, details: "forged" }])(
    "answers a rejection with %j as a bug",
    async (error) => {
      await using door = await openTestDoor(failing(error));
      const { code, message } = await door.client.refusal(PUBLISH, publishRequest());
      expect({ code, bug: message.startsWith("Cannot finish the call") }).toEqual({
        code: "INTERNAL",
        bug: true,
      });
    },
  );

  it("cuts a message to 4 KiB of whole characters", async () => {
    await using door = await openTestDoor(failing(new Failure("invalid", `x${"é€".repeat(60_000)}`)));
    const { code, message } = await door.client.refusal(PUBLISH, publishRequest());
    expect(code).toBe("INVALID_ARGUMENT");
    expect(Buffer.byteLength(message)).toBeGreaterThan(4090);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    expect(message).toMatch(/^x(?:é€)+é?…$/u);
  });

  it("sends messages with lone surrogates, newlines and percent signs", async () => {
    await using door = await openTestDoor(failing(new Failure("invalid", "a\ud800b\nc%20d")));
    expect(await door.client.refusal(PUBLISH, publishRequest())).toEqual({
      code: "INVALID_ARGUMENT",
      message: "a\ufffdb\nc%20d",
    });
  });

  it("gives the journey the caller's deadline, and Infinity without one", async () => {
    const deadlines: number[] = [];
    const publish = async (_: PublishRequest, call: Call) => void deadlines.push(call.deadline);
    await using door = await openTestDoor({ publish });
    const before = Date.now();
    await door.client.call(PUBLISH, publishRequest(), { deadlineMs: 30_000 });
    await door.client.call(PUBLISH, publishRequest());
    expect(deadlines[0]).toBeGreaterThan(before + 25_000);
    expect(deadlines[0]).toBeLessThanOrEqual(Date.now() + 30_000);
    expect(deadlines[1]).toBe(Infinity);
  });

  it("aborts the journey when its caller goes away", async () => {
    const held = heldPublish();
    await using door = await openTestDoor(held);
    const caller = new AbortController();
    const refusal = door.client.refusal(PUBLISH, publishRequest(), { signal: caller.signal });
    const { signal } = await held.begun;
    caller.abort();
    await once(signal, "abort");
    expect(signal.reason).toMatchObject({ reason: "pending" });
    held.release.reject(signal.reason);
    expect((await refusal).code).toBe("CANCELLED");
    expect(await untilCode(door)).toBe("CANCELLED");
    expect(door.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });

  it("aborts the journey when the deadline passes", async () => {
    const held = heldPublish();
    await using door = await openTestDoor(held);
    const refusal = door.client.refusal(PUBLISH, publishRequest(), { deadlineMs: 5_000 });
    const { signal } = await held.begun;
    if (!signal.aborted) await once(signal, "abort");
    held.release.resolve();
    expect((await refusal).code).toBe("DEADLINE_EXCEEDED");
    expect(await untilCode(door)).toMatch(/^(?:DEADLINE_EXCEEDED|CANCELLED)$/);
  });

  it("leaves the signal of an answered call alone", async () => {
    const signals: AbortSignal[] = [];
    const publish = async (_: PublishRequest, { signal }: Call) => void signals.push(signal);
    await using door = await openTestDoor({ publish });
    await door.client.call(PUBLISH, publishRequest());
    door.client[Symbol.dispose]();
    await door.door.close(0);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it.each(["localhost", "csi.sock", "[::1]:1"])("answers the authority %s", async (authority) => {
    await using door = await openTestDoor();
    const options = { "grpc.default_authority": authority };
    const client = new Client(`unix:${door.socket}`, credentials.createInsecure(), options);
    const { path, requestSerialize, responseDeserialize } = loadService("csi.proto", "csi.v1.Identity")[
      "Probe"
    ]!;
    const reply = await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error, reply) => {
        if (error) reject(error);
        else resolve(reply);
      });
    });
    client.close();
    expect(reply).toEqual({ ready: { value: true } });
  });

  it("takes Node's AbortError for its signal's reason, not for a bug", async () => {
    const error = new DOMException("aborted", "AbortError");
    const cause = new Failure("pending", "Pulling: 40 %");
    await using door = await openTestDoor(failing(Object.assign(error, { cause })));
    expect(await door.client.refusal(PUBLISH, publishRequest())).toEqual({
      code: "ABORTED",
      message: "Pulling: 40 %",
    });
  });

  it("never logs or counts progress as a refusal", async () => {
    await using door = await openTestDoor(failing(new Failure("pending", "Pulling: 40 %")));
    await door.client.refusal(PUBLISH, publishRequest());
    expect(door.counted).toMatchObject([{ method: "NodePublishVolume", code: "PENDING" }]);
    expect(door.refusals).toEqual([]);
    expect(door.lines.map(({ level }) => level)).toEqual(["info"]);
  });

  it("logs and measures each call once", async () => {
    await using door = await openTestDoor({
      publish: async () => undefined,
      unpublish: () => Promise.reject(new Failure("in-use", "Cannot unmount")),
    });
    await door.client.call(
      PUBLISH,
      publishRequest({
        volume_context: { reference: "r.example/a:1", "csi.storage.k8s.io/pod.name": "p", other: "o" },
      }),
    );
    await door.client.refusal(UNPUBLISH, { volume_id: "csi-1", target_path: "/t" });
    expect(door.counted).toMatchObject([
      { method: "NodePublishVolume", code: "OK" },
      { method: "NodeUnpublishVolume", code: "FAILED_PRECONDITION" },
    ]);
    expect(door.refusals).toEqual(["in-use"]);
    expect(door.lines).toMatchObject([
      { level: "info", fields: { volume_id: "csi-1", reference: "r.example/a:1", pod: "p" } },
      { level: "warn", fields: { target_path: "/t", reason: "in-use", why: "Cannot unmount" } },
    ]);
    expect(JSON.stringify(door.lines)).not.toContain('"o"');
  });

  it("keeps causes for the log and away from the caller", async () => {
    const cause = new Error("HTTP 503", { cause: new Error("ECONNRESET") });
    await using door = await openTestDoor(failing(new Failure("unavailable", "Cannot pull", { cause })));
    expect((await door.client.refusal(PUBLISH, publishRequest())).message).toBe("Cannot pull");
    expect(door.lines[0]?.fields["causes"]).toEqual([
      expect.stringContaining("HTTP 503"),
      expect.stringContaining("Error: ECONNRESET"),
    ]);
  });

  it("ends with a cause that is its own cause", async () => {
    const error = new Error("round");
    error.cause = error;
    await using door = await openTestDoor(failing(error));
    expect((await door.client.refusal(PUBLISH, publishRequest())).code).toBe("INTERNAL");
  });

  it("keeps what is asked every minute out of the log", async () => {
    await using door = await openTestDoor();
    await door.client.call("csi.v1.Identity/Probe");
    await door.client.call("csi.v1.Node/NodeGetCapabilities");
    expect(door.lines.map(({ level }) => level)).toEqual(["debug", "debug"]);
  });

  it("answers unknown methods and services with UNIMPLEMENTED", async () => {
    await using door = await openTestDoor();
    const health = await door.client.refusal("csi.v1.Node/NodeGetVolumeHealth", { volume_id: "v" });
    const group = await door.client.refusal("csi.v1.GroupController/GroupControllerGetCapabilities");
    expect([health.code, group.code]).toEqual(["UNIMPLEMENTED", "UNIMPLEMENTED"]);
  });

  it("takes requests with a secret of 1 MiB, and refuses those above 4 MiB", async () => {
    const sizes: number[] = [];
    const publish = async ({ secrets }: PublishRequest) => void sizes.push(secrets.get("s")?.length ?? 0);
    await using door = await openTestDoor({ publish });
    await door.client.call(PUBLISH, publishRequest({ secrets: { s: "x".repeat(1 << 20) } }));
    const refusal = await door.client.refusal(
      PUBLISH,
      publishRequest({ secrets: { s: "x".repeat(5 << 20) } }),
    );
    expect(sizes).toEqual([1 << 20]);
    expect(refusal.code).toBe("RESOURCE_EXHAUSTED");
  });

  it("answers bytes that are no request, and goes on", async () => {
    await using door = await openTestDoor();
    const client = new Client(`unix:${door.socket}`, credentials.createInsecure());
    const raw = (bytes: Buffer) => bytes;
    const error = await new Promise((resolve) => {
      client.makeUnaryRequest(`/${PUBLISH}`, raw, raw, Buffer.from([0x0a, 0xff, 0xff]), resolve);
    });
    client.close();
    expect(error).toBeInstanceOf(Error);
    expect(await door.client.call("csi.v1.Node/NodeGetInfo")).toMatchObject({ node_id: "node-1" });
  });

  it("serves 300 calls at once on one connection", async () => {
    let active = 0;
    const publish = async () => {
      active++;
      await new Promise((resolve) => setImmediate(resolve));
    };
    await using door = await openTestDoor({ publish });
    await Promise.all(Array.from({ length: 300 }, () => door.client.call(PUBLISH, publishRequest())));
    expect([active, door.counted.length, door.door.active()]).toEqual([300, 300, 0]);
  });

  it("refuses to start when a constant answer does not survive the wire", () => {
    const open = (answer: object) => {
      const methods = { NodeGetCapabilities: constant(answer) };
      const service = { name: "csi.v1.Node", definition: loadService("csi.proto", "csi.v1.Node"), methods };
      const { log } = openTestLog();
      return openServer(
        { log, metrics: { countCall: () => undefined, countRefusal: () => undefined }, now: () => 0 },
        [service],
      );
    };
    expect(() => open({ capabilities: [{ rpc: { type: "GET_VOLUME_STATZ" } }] })).toThrow(
      "capabilities.0.rpc.type",
    );
    expect(() => open({ capabilites: [] })).toThrow("capabilites");
  });
});

describe("Door.close()", () => {
  it("lets calls finish, and is safe to repeat", async () => {
    const held = heldPublish();
    await using door = await openTestDoor(held);
    const call = door.client.call(PUBLISH, publishRequest());
    await held.begun;
    const closing = door.door.close(60_000);
    const again = door.door.close(0);
    held.release.resolve();
    await expect(call).resolves.toEqual({});
    await Promise.all([closing, again]);
  });

  it("aborts what outlasts the grace with a code that is asked again", async () => {
    const publish = async (_: PublishRequest, { signal }: Call) => {
      await once(signal, "abort");
      throw signal.reason;
    };
    await using door = await openTestDoor({ publish });
    const refusal = door.client.refusal(PUBLISH, publishRequest());
    await vi.waitUntil(() => door.door.active() === 1, { interval: 5, timeout: 60_000 });
    await door.door.close(1);
    expect((await refusal).code).toBe("UNAVAILABLE");
  });

  it("waits for journeys whose callers are gone", async () => {
    const held = heldPublish();
    await using door = await openTestDoor(held);
    const caller = new AbortController();
    const refusal = door.client.refusal(PUBLISH, publishRequest(), { signal: caller.signal });
    await held.begun;
    caller.abort();
    await refusal;
    let ended = false;
    const closing = door.door.close(60_000).then(() => (ended = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    held.release.resolve();
    await closing;
  });

  it("cuts off a journey that does not heed its signal", async () => {
    const held = heldPublish();
    await using door = await openTestDoor(held);
    const refusal = door.client.refusal(PUBLISH, publishRequest());
    await held.begun;
    await door.door.close(0);
    expect((await refusal).code).toBe("UNAVAILABLE");
    held.release.resolve();
  });
});
