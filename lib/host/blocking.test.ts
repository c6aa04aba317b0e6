import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BlockingThreads } from "./blocking.ts";
import { errorCode } from "./errno.ts";
import { unmount } from "./mount-calls.ts";
import { openHangingMount } from "./testing/hanging-mount.ts";
import { isPrivileged } from "./testing/privileged.ts";

const polled = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

function isBusy(act: () => void): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if (errorCode(error) === "EBUSY") return true;
    throw error;
  }
}

describe("BlockingThreads", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-blocking-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const sync = (blocking: BlockingThreads, at = folder) => blocking.run({ kind: "syncfs", path: at });

  it("run() rejects with the system call's error, and goes on", async () => {
    await using blocking = new BlockingThreads({ patienceMs: 60_000 });
    const failure = { code: "ENOENT", message: expect.stringContaining("ENOENT") };
    await expect(sync(blocking, path.join(folder, "none"))).rejects.toMatchObject(failure);
    await sync(blocking);
  });

  it("run() asked a hundred times at once needs one thread", async () => {
    await using blocking = new BlockingThreads({ patienceMs: 60_000 });
    const calls = Array.from({ length: 100 }, () => sync(blocking, "/proc"));
    expect(blocking.threads).toBe(1);
    await Promise.all(calls);
    expect(blocking.threads).toBe(1);
  });

  it("dispose tells callers whose turn had not come", async () => {
    const blocking = new BlockingThreads({ patienceMs: 60_000 });
    const calls = Array.from({ length: 3 }, () => sync(blocking));
    const told = Promise.all(calls.map((call) => expect(call).rejects.toThrow(/closed/)));
    await blocking[Symbol.asyncDispose]();
    await told;
  });

  describe.runIf(isPrivileged())("when calls hang", () => {
    const hanging = () => path.join(folder, "hanging");
    let released: Disposable;
    beforeEach(() => {
      released = openHangingMount(hanging());
    });
    // Let go of, a call that hung still takes a moment to return.
    afterEach(() => polled(() => !isBusy(() => unmount(hanging()))));

    it("run() lets others pass, however many hang, and ends the spare threads when they stop hanging", async () => {
      await using blocking = new BlockingThreads({ patienceMs: 1 });
      const hung = Array.from({ length: 3 }, () =>
        sync(blocking, hanging()).catch((error: unknown) => error),
      );
      await Promise.all(Array.from({ length: 10 }, () => sync(blocking, "/proc")));
      expect(blocking.threads).toBeGreaterThanOrEqual(4);
      released[Symbol.dispose]();
      for (const error of await Promise.all(hung)) expect(error).toBeInstanceOf(Error);
      await sync(blocking, "/proc");
      await polled(() => blocking.threads === 1);
    });

    it("dispose does not wait for a hung call; its caller is told", async () => {
      const blocking = new BlockingThreads({ patienceMs: 1 });
      const hung = sync(blocking, hanging());
      const told = expect(hung).rejects.toThrow(/closed/);
      await sync(blocking, "/proc");
      await blocking[Symbol.asyncDispose]();
      await told;
      expect(blocking.stuck).toBe(1);
      released[Symbol.dispose]();
      await polled(() => blocking.stuck === 0);
    });
  });
});
