import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { openVolumeTurns } from "./volume-turns.ts";

describe("VolumeTurns.take()", () => {
  it("refuses a second operation on a volume as busy, and no other volume", () => {
    const turns = openVolumeTurns();
    using _one = turns.take("a");
    using _other = turns.take("b");
    expect(() => turns.take("a")).toThrow(expect.toSatisfy((error) => isFailure(error, "busy")));
  });

  it("gives the turn again once it was let go", () => {
    const turns = openVolumeTurns();
    turns.take("a")[Symbol.dispose]();
    using turn = turns.take("a");
    expect(turn).toBeDefined();
  });
});

describe("VolumeTurns.ended()", () => {
  it("resolves for all who wait when the turn is over, and not before", async () => {
    const turns = openVolumeTurns();
    const turn = turns.take("a");
    let isOver = false;
    const ends = [turns.ended("a"), turns.ended("a")].map(async (end) => {
      await end;
      expect(isOver).toBe(true);
    });
    turns.take("b")[Symbol.dispose]();
    await new Promise((resolve) => setImmediate(resolve));
    isOver = true;
    turn[Symbol.dispose]();
    await Promise.all(ends);
  });

  it("lets nobody's second disposal end the turn of the next", () => {
    const turns = openVolumeTurns();
    const turn = turns.take("a");
    turn[Symbol.dispose]();
    using _next = turns.take("a");
    turn[Symbol.dispose]();
    expect(() => turns.take("a")).toThrow(expect.toSatisfy((error) => isFailure(error, "busy")));
  });
});
