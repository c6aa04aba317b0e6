import { describe, expect, it } from "vitest";
import { Fault, TRIES } from "./fault.ts";
import { persist } from "./persist.ts";

const never = new AbortController().signal;

function depsWith(tick: (waitMs: number) => number) {
  const waits: number[] = [];
  let now = 1_000_000;
  return {
    waits,
    deps: {
      now: () => now,
      random: () => 0.5,
      sleep: async (ms: number, signal: AbortSignal) => {
        signal.throwIfAborted();
        waits.push(ms);
        now += tick(ms);
      },
      observe: { bytes: () => {}, retry: () => {}, deadMirror: () => {} },
    },
  };
}

const failing = (tries: number) => async () => {
  throw new Fault("unavailable", "it failed", { tries });
};

describe("persist()", () => {
  it("asks once for a refusal, a few times for nonsense, and for two minutes in trouble", async () => {
    for (const [tries, waits] of [
      [TRIES.refusal, 0],
      [TRIES.nonsense, 3],
    ] as const) {
      const { deps, waits: waited } = depsWith((ms) => ms);
      await expect(persist(deps, "h", failing(tries), never)).rejects.toThrow("it failed");
      expect(waited.length).toBe(waits);
    }
    const { deps, waits } = depsWith((ms) => ms);
    await expect(persist(deps, "h", failing(TRIES.trouble), never)).rejects.toThrow("it failed");
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(60_000);
  });

  it.each([
    ["back", -86_400_000],
    ["forward", 86_400_000],
  ])("ends in time when the clock is set %s again and again", async (_, jump) => {
    const { deps, waits } = depsWith(() => jump);
    await expect(persist(deps, "h", failing(TRIES.trouble), never)).rejects.toThrow("it failed");
    const total = waits.reduce((sum, ms) => sum + ms, 0);
    expect(waits.length).toBeGreaterThan(1);
    expect(total).toBeLessThanOrEqual(120_000);
  });

  it("lets what is not a Fault through at once", async () => {
    const { deps, waits } = depsWith((ms) => ms);
    const bug = async () => {
      throw new TypeError("a bug");
    };
    await expect(persist(deps, "h", bug, never)).rejects.toThrow(TypeError);
    expect(waits).toEqual([]);
  });

  it("stops when it is aborted in between", async () => {
    const { deps } = depsWith((ms) => ms);
    const stop = new AbortController();
    const attempt = async () => {
      stop.abort(new Error("enough"));
      throw new Fault("unavailable", "it failed", { tries: TRIES.trouble });
    };
    await expect(persist(deps, "h", attempt, stop.signal)).rejects.toThrow("enough");
  });

  it("aborted while it waits a fault out, or asks again, tells that fault", async () => {
    for (const asked of [1, 2]) {
      const stop = new AbortController();
      const { deps } = depsWith((ms) => ms);
      let times = 0;
      const attempt = async () => {
        times += 1;
        if (times === 2) stop.abort(new Error("enough"));
        throw new Fault("unavailable", `it failed ${times}`, { tries: TRIES.trouble });
      };
      const sleep = async (ms: number, signal: AbortSignal) => {
        if (asked === 1) stop.abort(new Error("enough"));
        await deps.sleep(ms, signal);
        signal.throwIfAborted();
      };
      await expect(persist({ ...deps, sleep }, "h", attempt, stop.signal)).rejects.toThrow("it failed 1");
      expect(times).toBe(asked);
    }
  });
});
