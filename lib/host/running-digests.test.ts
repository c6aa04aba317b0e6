import { describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { RunningDigests } from "./running-digests.ts";

const whole = Buffer.from("0123456789");
const sum = { id: 1, size: whole.length };
const piece = (from: number, to: number) => [from, whole.subarray(from, to)] as const;

describe("RunningDigests", () => {
  it("add() tells the digest with the last piece, and keeps nothing of it", () => {
    const digests = new RunningDigests();
    expect(digests.add(sum, ...piece(0, 4))).toBeUndefined();
    expect(digests.size).toBe(1);
    expect(digests.add(sum, ...piece(4, 10))).toBe(digestOf(whole));
    expect(digests.size).toBe(0);
  });

  it("add() keeps files apart", () => {
    const digests = new RunningDigests();
    digests.add(sum, ...piece(0, 4));
    expect(digests.add({ id: 2, size: 4 }, ...piece(0, 4))).toBe(digestOf(whole.subarray(0, 4)));
    expect(digests.add(sum, ...piece(4, 10))).toBe(digestOf(whole));
  });

  it.each([
    ["a gap", [piece(0, 4), piece(5, 10)]],
    ["a piece twice", [piece(0, 4), piece(0, 0), piece(2, 6), piece(6, 10)]],
    ["no beginning", [piece(4, 10)]],
    ["a gap that is filled later", [piece(0, 2), piece(4, 10), piece(2, 4)]],
    ["more than there should be", [[0, Buffer.from("0123456789x")] as const]],
  ])("add() tells nothing after %s", (_, pieces) => {
    const digests = new RunningDigests();
    expect(pieces.map(([offset, bytes]) => digests.add(sum, offset, bytes))).toEqual(
      pieces.map(() => undefined),
    );
  });

  it("add() begins again at 0, with what comes from there on", () => {
    const digests = new RunningDigests();
    digests.add(sum, 0, Buffer.from("wrong"));
    digests.add(sum, 5, Buffer.from("er"));
    digests.add(sum, ...piece(0, 4));
    expect(digests.add(sum, ...piece(4, 10))).toBe(digestOf(whole));
  });

  it("forget() lets go of one that will not be finished", () => {
    const digests = new RunningDigests();
    digests.add(sum, ...piece(0, 4));
    digests.forget(sum.id);
    expect(digests.size).toBe(0);
    expect(digests.add(sum, ...piece(4, 10))).toBeUndefined();
  });
});
