import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { openTurns } from "./turns.ts";

describe("Turns.take()", () => {
  it("refuses a second operation on a volume as busy, and no other volume", () => {
    const turns = openTurns();
    using _one = turns.take("a");
    using _other = turns.take("b");
    expect(() => turns.take("a")).toThrow(expect.toSatisfy((error) => isFailure(error, "busy")));
  });

  it("gives the turn again once it was let go", () => {
    const turns = openTurns();
    turns.take("a")[Symbol.dispose]();
    using turn = turns.take("a");
    expect(turn).toBeDefined();
  });
});
