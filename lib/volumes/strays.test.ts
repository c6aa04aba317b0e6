import { describe, expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { openMemoryLog } from "../host/log.fake.ts";
import { Strays, type Suspect } from "./strays.ts";

const MINUTE_MS = 60_000;
const quiet = { bytes: 0, inodes: 0 };
const one: Suspect = { volumeId: "v-1", directory: "/volumes/1", project: 1 };
const two: Suspect = { volumeId: "v-2", directory: "/volumes/2", project: 2 };

/** Looks that end when they are told to. */
class Bench {
  readonly log = openMemoryLog();
  now = 0;
  readonly looks: string[] = [];
  readonly #ends: Array<() => void> = [];
  answer: () => Promise<typeof quiet> = async () => quiet;
  /** How long a look takes. */
  lookMs = 0;
  readonly strays = new Strays({
    limits: {
      strays: async (directory) => {
        this.looks.push(directory);
        await new Promise<void>((resolve) => this.#ends.push(resolve));
        this.now += this.lookMs;
        return await this.answer();
      },
    },
    clock: { now: () => this.now },
    log: this.log.log,
  });

  /** Lets the look that is under way end, and what follows it. */
  async end(): Promise<void> {
    await turn();
    this.#ends.shift()?.();
    await turn();
  }

  get warnings(): number {
    return this.log.lines.filter(({ level }) => level === "warn").length;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("Strays", () => {
  it("of() answers at once, and tells what a look behind it found", async () => {
    const bench = new Bench();
    bench.answer = async () => ({ bytes: 5, inodes: 2 });
    expect(bench.strays.of(one)).toEqual(quiet);
    expect(bench.strays.of(one)).toEqual(quiet);
    await bench.end();
    expect(bench.looks).toEqual([one.directory]);
    expect(bench.strays.of(one)).toEqual({ bytes: 5, inodes: 2 });
    expect(bench.strays.bytes).toBe(5);
  });

  it("of() warns once for what it finds, and again when that changes", async () => {
    const bench = new Bench();
    for (const inodes of [0, 3, 3, 4, 0]) {
      bench.answer = async () => ({ bytes: 4096, inodes });
      bench.strays.of(one);
      await bench.end();
      bench.now += 11 * MINUTE_MS;
    }
    expect(bench.looks.length).toBe(5);
    expect(bench.warnings).toBe(2);
    expect(bench.log.lines[0]).toMatchObject({ volume: "v-1", files: 3 });
  });

  it("of() looks at one volume after the other, and at each every ten minutes at most", async () => {
    const bench = new Bench();
    bench.strays.of(one);
    bench.strays.of(two);
    await turn();
    expect(bench.looks).toEqual([one.directory]);
    await bench.end();
    expect(bench.looks).toEqual([one.directory, two.directory]);
    await bench.end();
    bench.now += 9 * MINUTE_MS;
    bench.strays.of(one);
    await turn();
    expect(bench.looks.length).toBe(2);
    bench.now += 2 * MINUTE_MS;
    bench.strays.of(one);
    await turn();
    expect(bench.looks.length).toBe(3);
    await bench.end();
  });

  it("of() never looks for more than a hundredth of the time", async () => {
    const bench = new Bench();
    bench.lookMs = MINUTE_MS;
    bench.strays.of(one);
    await bench.end();
    bench.now += 99 * MINUTE_MS;
    bench.strays.of(one);
    await turn();
    expect(bench.looks.length).toBe(1);
    bench.now += 2 * MINUTE_MS;
    bench.strays.of(one);
    await turn();
    expect(bench.looks.length).toBe(2);
    await bench.end();
  });

  it("of() keeps what it knew where a look fails, and looks again", async () => {
    const bench = new Bench();
    bench.answer = async () => ({ bytes: 5, inodes: 2 });
    bench.strays.of(one);
    await bench.end();
    bench.now += 11 * MINUTE_MS;
    bench.answer = () => Promise.reject(new Failure("unavailable", "the disk failed"));
    bench.strays.of(one);
    await bench.end();
    expect(bench.strays.of(one)).toEqual({ bytes: 5, inodes: 2 });
    bench.now += 11 * MINUTE_MS;
    bench.strays.of(one);
    await bench.end();
    expect(bench.looks.length).toBe(3);
  });

  it("bytes forgets a volume that nobody asks about any more", async () => {
    const bench = new Bench();
    bench.answer = async () => ({ bytes: 5, inodes: 2 });
    bench.strays.of(one);
    await bench.end();
    bench.now += 31 * MINUTE_MS;
    expect(bench.strays.bytes).toBe(0);
  });

  it("ends the look under way when it is disposed of", async () => {
    const log = openMemoryLog();
    const strays = new Strays({
      limits: {
        strays: (_directory, _project, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason as Error));
          }),
      },
      clock: { now: () => 0 },
      log: log.log,
    });
    strays.of(one);
    strays.of(two);
    await turn();
    const disposed = strays[Symbol.asyncDispose]();
    await disposed;
    expect(log.lines).toEqual([]);
  });
});
