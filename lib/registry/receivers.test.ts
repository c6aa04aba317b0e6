import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openRegistryDouble } from "../../testing/registry-double.ts";
import { digestOf } from "../core/digest.ts";
import type { Range } from "../core/ranges.ts";
import type { Received } from "./received.ts";
import { type ReceiverOptions, Receivers } from "./receivers.ts";

const never = new AbortController().signal;
const patiently = { timeout: 20_000, interval: 10 };
const content = randomBytes(900_000);

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function setUp(options: Partial<ReceiverOptions> = {}) {
  const registry = open.use(await openRegistryDouble());
  const { digest } = registry.blob(content);
  const receivers = open.use(new Receivers({ threads: 2, ...options }));
  const url = new URL(`http://${registry.host}/v2/a/b/blobs/${digest}`);
  const ask = async (signal = never) =>
    await receivers.send({ method: "GET", url, headers: {}, trust: {} }, signal);
  return { registry, receivers, ask };
}

async function pourAll(received: Received, wanted: readonly Range[] = [{ start: 0, end: content.length }]) {
  const into = new SharedArrayBuffer(content.length);
  const told: Range[] = [];
  const order = { start: 0, end: content.length, wanted, hashes: false, into };
  const outcome = await received.pour(order, (range) => told.push(range));
  return { outcome, told, bytes: Buffer.from(into) };
}

describe("Receivers", () => {
  it("send() brings head and body from another thread, told in order and without a gap", async () => {
    const { ask } = await setUp();
    const received = await ask();
    expect([received.status, received.header("content-length")]).toEqual([200, String(content.length)]);
    const { outcome, told, bytes } = await pourAll(received);
    expect(outcome).toEqual({ ending: "whole" });
    expect(bytes.equals(content)).toBe(true);
    expect(told[0]?.start).toBe(0);
    expect(told.slice(1).map(({ start }) => start)).toEqual(told.slice(0, -1).map(({ end }) => end));
    expect(told.at(-1)?.end).toBe(content.length);
  });

  it("send() rejects with what the other thread met, and where", async () => {
    const { receivers } = await setUp();
    const wrong = {
      method: "GET",
      url: new URL("http://127.0.0.1:1/"),
      headers: { "x y": "z" },
      trust: {},
    } as const;
    const error = await receivers.send(wrong, never).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: "UND_ERR_INVALID_ARG",
      message: "invalid header key",
      stack: expect.stringContaining("transport.ts"),
    });
  });

  it("send() uses the same threads for all questions, and ends them when there is nothing to do", async () => {
    const { receivers, ask } = await setUp({ idleMs: 1 });
    const answers = await Promise.all(Array.from({ length: 6 }, async () => await pourAll(await ask())));
    expect(answers.every(({ bytes }) => bytes.equals(content))).toBe(true);
    expect(receivers.running).toBeLessThanOrEqual(2);
    await vi.waitFor(() => expect(receivers.running).toBe(0), patiently);
    expect((await pourAll(await ask())).bytes.equals(content)).toBe(true);
  });

  it("warm() starts threads before anything is asked, once; they end when nothing is", async () => {
    const { receivers, ask } = await setUp({ idleMs: 1_000_000 });
    receivers.warm();
    receivers.warm();
    expect(receivers.running).toBe(2);
    expect((await pourAll(await ask())).bytes.equals(content)).toBe(true);
    expect(receivers.running).toBe(2);
    const hasty = open.use(new Receivers({ threads: 3, idleMs: 1 }));
    hasty.warm();
    await vi.waitFor(() => expect(hasty.running).toBe(0), patiently);
    await hasty[Symbol.asyncDispose]();
    hasty.warm();
    expect(hasty.running).toBe(0);
  });

  it("send() tells of what is hashed on its way less often, its digest at the end", async () => {
    const { ask } = await setUp();
    const told: [Range, string | undefined][] = [];
    const order = {
      start: 0,
      end: content.length,
      wanted: [{ start: 0, end: content.length }],
      hashes: true,
    };
    const into = new SharedArrayBuffer(content.length);
    await (await ask()).pour({ ...order, into }, (range, digest) => told.push([range, digest]));
    expect(told).toEqual([[{ start: 0, end: content.length }, digestOf(content)]]);
  });

  it("send() rejects with the socket's code", async () => {
    const receivers = open.use(new Receivers({ threads: 1 }));
    const url = new URL("http://127.0.0.1:1/");
    const sent = receivers.send({ method: "GET", url, headers: {}, trust: {} }, never);
    await expect(sent).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("an answer that is aborted brings nothing more, whether anybody read it or not", async () => {
    const { registry, ask } = await setUp();
    registry.spoil("blobs", { kind: "hang" });
    const stop = new AbortController();
    const hanging = ask(stop.signal);
    await vi.waitFor(() => expect(registry.count("blobs")).toBe(1), patiently);
    stop.abort(new Error("gone"));
    await expect(hanging).rejects.toThrow("not wanted any more");
    const unread = await ask();
    unread.abort();
    await unread.over;
    const { outcome, told } = await pourAll(unread).catch((error: unknown) => ({ outcome: error, told: [] }));
    expect([outcome, told]).toEqual([{ broken: expect.any(Error) }, []]);
    expect((await pourAll(await ask())).bytes.equals(content)).toBe(true);
  });

  it("an answer of which little is wanted is not read to its end", async () => {
    const { ask } = await setUp();
    const wanted = [
      { start: 3, end: 5 },
      { start: 10, end: 12 },
    ];
    const { outcome, told, bytes } = await pourAll(await ask(), wanted);
    expect([outcome, told]).toEqual([{ ending: "whole" }, wanted]);
    expect(bytes.subarray(10, 12)).toEqual(content.subarray(10, 12));
    expect(bytes.subarray(12).every((byte) => byte === 0)).toBe(true);
  });

  it("disposing ends what is under way with a Fault, and refuses more", async () => {
    const { registry, receivers, ask } = await setUp();
    registry.spoil("blobs", { kind: "hang" });
    const hanging = ask();
    await vi.waitFor(() => expect(registry.count("blobs")).toBe(1), patiently);
    const [outcome] = await Promise.allSettled([hanging, receivers[Symbol.asyncDispose]()]);
    expect(outcome).toMatchObject({ reason: { name: "Fault", reason: "unavailable" } });
    await expect(ask()).rejects.toThrow("closed");
  });
});
