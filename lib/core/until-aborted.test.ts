import { describe, expect, it } from "vitest";
import { untilAborted } from "./until-aborted.ts";

const never = new Promise<never>(() => undefined);

describe("untilAborted()", () => {
  it("passes on how it ends, and leaves nothing on the signal", async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(Promise.resolve(7), signal)).toBe(7);
    await expect(untilAborted(Promise.reject(new Error("broken")), signal)).rejects.toThrow("broken");
  });

  it("leaves with the signal's reason, before or after it began to wait", async () => {
    const leaving = new AbortController();
    const waiting = untilAborted(never, leaving.signal);
    leaving.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(untilAborted(never, leaving.signal)).rejects.toThrow("enough");
  });

  it("lets what fails after it left fail unheard", async () => {
    const leaving = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const waiting = untilAborted(promise, leaving.signal);
    leaving.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    reject(new Error("late"));
    await expect(promise).rejects.toThrow("late");
  });
});
