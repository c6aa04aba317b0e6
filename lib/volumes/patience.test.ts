import { describe, expect, it } from "vitest";
import { Failure, isFailure } from "../core/failure.ts";
import { type Clock, waitFor } from "./patience.ts";

const idle: Clock = {
  now: () => 0,
  pause: (_ms, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
};
const late: Clock = { now: () => 0, pause: async () => undefined };
const call = { signal: new AbortController().signal, deadline: 10_000 };
const never = () => new Promise<never>(() => undefined);

describe("waitFor()", () => {
  it("gives what arrives in time", async () => {
    expect(
      await waitFor(
        idle,
        call,
        () => "",
        async () => 7,
      ),
    ).toBe(7);
  });

  it("passes on why it failed", async () => {
    const failing = waitFor(
      idle,
      call,
      () => "",
      () => Promise.reject(new Error("broken")),
    );
    await expect(failing).rejects.toThrow("broken");
  });

  it("says pending with the progress before the deadline, and tells what it began that nobody waits", async () => {
    let told: AbortSignal | undefined;
    const waiting = waitFor(
      late,
      call,
      () => "42 %",
      (signal) => {
        told = signal;
        return never();
      },
    );
    await expect(waiting).rejects.toSatisfy(
      (error) => isFailure(error, "pending") && error.message === "42 %",
    );
    expect(told?.aborted).toBe(true);
  });

  it("tells what ails whom it asked, where it has been told meanwhile", async () => {
    const waiting = waitFor(
      late,
      call,
      () => "asking",
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new Failure("unavailable", "it answered 500")));
        }),
    );
    await expect(waiting).rejects.toThrow("it answered 500");
  });

  it("asks for the pause that leaves the answer time to arrive", async () => {
    const pauses: number[] = [];
    const clock: Clock = { now: () => 4_000, pause: async (ms) => void pauses.push(ms) };
    for (const deadline of [124_000, 14_000, 4_050]) {
      await expect(waitFor(clock, { ...call, deadline }, () => "", never)).rejects.toThrow();
    }
    expect(pauses).toEqual([118_000, 9_000, 0]);
  });

  it("waits for ever without a deadline", async () => {
    const endless = { ...call, deadline: Number.POSITIVE_INFINITY };
    expect(
      await waitFor(
        late,
        endless,
        () => "",
        async () => "here",
      ),
    ).toBe("here");
  });

  it("lets go of what arrives after it stopped waiting", async () => {
    const { promise, resolve } = Promise.withResolvers<Disposable>();
    await expect(
      waitFor(
        late,
        call,
        () => "",
        () => promise,
      ),
    ).rejects.toThrow();
    const letGo = Promise.withResolvers<void>();
    resolve({ [Symbol.dispose]: () => letGo.resolve() });
    await letGo.promise;
  });
});
