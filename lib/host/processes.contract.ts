// What every implementation of Processes does, shown with five small programs each brings in its own kind.
import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { type Processes, type ProcessRequest, STDERR_TAIL_BYTES } from "./processes.ts";

/**
 * `echo` prints its arguments, the variable WORD, its standard input and its first descriptor twice, a line each;
 * `fail` says "no" on stderr and exits with 3; `flood` prints 1 MiB of "x" on each output, "end" last on stderr;
 * `hang` prints "ready" and waits to be told to end.
 */
export type ContractPrograms = Readonly<
  Record<"echo" | "fail" | "flood" | "hang" | "missing", Pick<ProcessRequest, "program" | "args">>
>;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export function processesContract(name: string, open: () => Processes, programs: ContractPrograms): void {
  describe(`${name} as Processes`, () => {
    it("run() hands arguments, environment, input and descriptors over, and returns the output", async () => {
      const { args, program } = programs.echo;
      const result = await open().run({
        program,
        args: [...args, "a b", "$c"],
        env: { WORD: "w" },
        stdin: "in",
        descriptors: [Buffer.from("secret")],
      });
      expect(text(result.stdout).trim().split("\n")).toEqual(["a b $c", "w", "in", "secret", "secret"]);
      expect(result).toMatchObject({ exitCode: 0, signal: undefined, stderrTail: "" });
    });

    it("run() hands on what an iterable brings, and leaves it when the program ends before", async () => {
      let left = false;
      async function* endless() {
        try {
          for (;;) yield Buffer.alloc(64 * 1024, "x");
        } finally {
          left = true;
        }
      }
      async function* short() {
        yield Buffer.from("i");
        yield Buffer.from("n");
      }
      const descriptors = [new Uint8Array()];
      const echoed = await open().run({ ...programs.echo, env: {}, stdin: short(), descriptors });
      expect(text(echoed.stdout)).toContain("in");
      if (name.startsWith("fake")) return;
      expect(await open().run({ ...programs.fail, env: {}, stdin: endless() })).toMatchObject({
        exitCode: 3,
      });
      expect(left).toBe(true);
    });

    it("run() rejects with what an iterable throws", async () => {
      async function* broken() {
        yield Buffer.from("i");
        throw new Error("the disk is gone");
      }
      const run = open().run({ ...programs.echo, env: {}, stdin: broken(), descriptors: [new Uint8Array()] });
      await expect(run).rejects.toThrow("the disk is gone");
    });

    it("run() passes nothing of our environment on", async () => {
      const result = await open().run({
        ...programs.echo,
        env: { WORD: "" },
        descriptors: [new Uint8Array()],
      });
      expect(text(result.stdout).trim()).toBe("");
    });

    it("run() resolves with the exit code and the end of stderr of a program that fails", async () => {
      const result = await open().run({ ...programs.fail, env: {} });
      expect(result).toMatchObject({ exitCode: 3, stderrTail: expect.stringMatching(/^no\s*$/) });
    });

    it("run() keeps the tail of a stderr of any length, and all of stdout within its limit", async () => {
      const result = await open().run({ ...programs.flood, env: {} });
      expect(result.exitCode).toBe(0);
      expect(result.stdout.length).toBe(1024 * 1024);
      expect(result.stderrTail.length).toBeLessThanOrEqual(STDERR_TAIL_BYTES);
      expect(result.stderrTail.trim()).toMatch(/x{1000}end$/);
    });

    it("run() refuses a stdout beyond its limit as out-of-range, without an argument in the message", async () => {
      const refused = open().run({ ...programs.flood, env: {}, stdoutLimitBytes: 1000 });
      await expect(refused).rejects.toSatisfy((error) => isFailure(error, "out-of-range"));
    });

    it("run() hands stdout to whoever takes it, and waits for them", async () => {
      let taken = 0;
      let at = 0;
      const result = await open().run({
        ...programs.flood,
        env: {},
        stdoutLimitBytes: 1,
        onStdout: async (chunk) => {
          at += 1;
          expect(at).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          taken += chunk.length;
          at -= 1;
        },
      });
      expect(taken).toBe(1024 * 1024);
      expect(result.stdout.length).toBe(0);
    });

    it("run() ends the program when whoever takes its stdout fails, and rejects with that", async () => {
      const onStdout = () => Promise.reject(new Error("disk on fire"));
      await expect(open().run({ ...programs.flood, env: {}, onStdout })).rejects.toThrow("disk on fire");
    });

    it("run() ends a program that hangs when it is cancelled, and rejects with the reason", async () => {
      const controller = new AbortController();
      const reason = new Error("enough");
      const onStdout = () => controller.abort(reason);
      const run = open().run({ ...programs.hang, env: {}, onStdout, signal: controller.signal });
      await expect(run).rejects.toBe(reason);
    });

    it("run() starts nothing when it is cancelled already", async () => {
      const run = open().run({ ...programs.missing, env: {}, signal: AbortSignal.abort(new Error("early")) });
      await expect(run).rejects.toThrow("early");
    });

    it("run() says unavailable for a program that is not there, and names it but no argument", async () => {
      const run = open().run({ ...programs.missing, args: ["hush"], env: {} });
      await expect(run).rejects.toSatisfy(
        (error) =>
          isFailure(error, "unavailable") &&
          error.message.includes(`"${programs.missing.program}"`) &&
          !error.message.includes("hush"),
      );
    });

    it("run() runs many at once", async () => {
      const processes = open();
      const words = Array.from({ length: 8 }, (_, at) => `word-${at}`);
      const results = await Promise.all(
        words.map((WORD) =>
          processes.run({ ...programs.echo, env: { WORD }, descriptors: [Buffer.from(WORD)] }),
        ),
      );
      expect(results.map(({ stdout }) => text(stdout).trim().split("\n").at(-1))).toEqual(words);
    });
  });
}
