import { describe, expect, it } from "vitest";
import { Slots } from "./limits.ts";

const never = new AbortController().signal;

/** Takes a slot and notes when it was given. */
function taker(slots: Slots, given: string[]) {
  return (group: string, line: string, signal = never) =>
    slots.take({ group, line }, signal).then((slot) => {
      given.push(`${group}/${line}`);
      return slot;
    });
}

const settled = async () => await new Promise<void>((resolve) => setImmediate(resolve));

describe("Slots", () => {
  it("take() gives each line its turn, however many wait in one", async () => {
    const given: string[] = [];
    const slots = new Slots(1);
    const take = taker(slots, given);
    const held: Disposable[] = [await take("g", "a")];
    const waiting = ["a", "a", "a", "b"].map(async (line) => held.push(await take("g", line)));
    waiting.push(take("h", "c").then((slot) => held.push(slot)));
    for (let slot = held.pop(); slot !== undefined; slot = held.pop()) {
      slot[Symbol.dispose]();
      await settled();
    }
    await Promise.all(waiting);
    expect(given).toEqual(["g/a", "g/a", "g/b", "h/c", "g/a", "g/a"]);
  });

  it("take() holds one group to its part while others go on", async () => {
    const given: string[] = [];
    const slots = new Slots(3, 2);
    const take = taker(slots, given);
    const [one] = await Promise.all([take("g", "a"), take("g", "b")]);
    const third = take("g", "c");
    await take("h", "a");
    expect(given).toEqual(["g/a", "g/b", "h/a"]);
    one[Symbol.dispose]();
    await third;
    expect(given.at(-1)).toBe("g/c");
  });

  it("take() rejects who leaves the line, and passes the turn on", async () => {
    const given: string[] = [];
    const slots = new Slots(1);
    const take = taker(slots, given);
    const held = await take("g", "a");
    const stop = new AbortController();
    const gone = take("g", "b", stop.signal);
    const next = take("g", "c");
    stop.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    held[Symbol.dispose]();
    (await next)[Symbol.dispose]();
    await expect(take("g", "b", stop.signal)).rejects.toThrow("gone");
    expect(given).toEqual(["g/a", "g/c"]);
  });

  it("take() gives no slot twice when one is given back twice", async () => {
    const slots = new Slots(1);
    const slot = await slots.take({ group: "g", line: "a" }, never);
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
    const again = await slots.take({ group: "g", line: "a" }, never);
    const waiting = slots.take({ group: "g", line: "b" }, never);
    expect(await Promise.race([waiting.then(() => "given"), settled().then(() => "waits")])).toBe("waits");
    again[Symbol.dispose]();
    await waiting;
  });
});
