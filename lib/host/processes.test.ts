import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { openAttempt, sweepAttempts } from "./attempts.ts";
import { bootId, processesWith, startTicksOf } from "./process-table.ts";
import { processesContract } from "./processes.contract.ts";
import { type FakeProgram, fakeProcesses } from "./processes.fake.ts";
import { openProcesses } from "./processes.linux.ts";

const shell = (script: string) => ({ program: "/bin/sh", args: ["-c", script, "sh"] });

processesContract("openProcesses()", openProcesses, {
  echo: shell('echo "$*"; echo "$WORD"; cat; echo; cat /dev/fd/3; echo; cat /dev/fd/3'),
  fail: shell("echo no >&2; exit 3"),
  flood: shell("x() { head -c 1048576 /dev/zero | tr '\\0' x; }; x; x >&2; echo end >&2"),
  hang: shell("echo ready; sleep 1000"),
  missing: { program: "/nonexistent/program", args: [] },
});

const fakes: Readonly<Record<string, FakeProgram>> = {
  echo: async ({ args, env, stdin, descriptors: [first], print }) => {
    const lines = [
      args.join(" "),
      env["WORD"],
      Buffer.from(stdin),
      Buffer.from(first ?? []),
      Buffer.from(first ?? []),
    ];
    await print(lines.map(String).join("\n"));
    return 0;
  },
  fail: ({ printError }) => {
    printError("no\n");
    return 3;
  },
  flood: async ({ print, printError }) => {
    for (let at = 0; at < 16; at += 1) {
      printError("x".repeat(65536));
      await print("x".repeat(65536));
    }
    printError("end");
    return 0;
  },
  hang: async ({ print, signal }) => {
    const ended = new Promise<number>((resolve) => signal.addEventListener("abort", () => resolve(143)));
    await print("ready");
    return ended;
  },
};

processesContract("fakeProcesses()", () => fakeProcesses(fakes), {
  echo: { program: "echo", args: [] },
  fail: { program: "fail", args: [] },
  flood: { program: "flood", args: [] },
  hang: { program: "hang", args: [] },
  missing: { program: "missing", args: [] },
});

const isRunning = (pid: number) => startTicksOf(pid) !== undefined;

async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await setImmediate();
}

describe("openProcesses()", () => {
  it("run() ends what a program leaves running, and does not wait for it", async () => {
    const result = await openProcesses().run({ ...shell("sleep 1000 & echo $!"), env: {} });
    await gone(Number(Buffer.from(result.stdout)));
  });

  it("run() ends descendants too when it is cancelled", async () => {
    const controller = new AbortController();
    let pid = 0;
    const run = openProcesses().run({
      ...shell("sleep 1000 & echo $!; wait"),
      env: {},
      signal: controller.signal,
      onStdout: (chunk) => {
        pid = Number(Buffer.from(chunk));
        controller.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    await gone(pid);
  });

  it("run() does not wait for a descendant in a session of its own when it is cancelled", async () => {
    const controller = new AbortController();
    let pids: number[] = [];
    const run = openProcesses().run({
      ...shell('setsid sleep 1000 & a=$!; sleep 1000 & echo "$a $!"; wait'),
      env: { PATH: "/usr/bin:/bin" },
      signal: controller.signal,
      onStdout: (chunk) => {
        pids = Buffer.from(chunk).toString().split(" ").map(Number);
        controller.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    const [escaped = 0, child = 0] = pids;
    await gone(child);
    process.kill(escaped, "SIGKILL");
    await gone(escaped);
  });

  it("run() kills a program that does not end when it is told to", async () => {
    const controller = new AbortController();
    const run = openProcesses({ graceMs: 20 }).run({
      ...shell('trap "" TERM; echo ready; while :; do sleep 0.01; done'),
      env: { PATH: "/usr/bin:/bin" },
      signal: controller.signal,
      onStdout: () => controller.abort(new Error("enough")),
    });
    await expect(run).rejects.toThrow("enough");
  });

  it("run() gives up, as unavailable and with nothing left running, when it cannot record the process", async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), "larder-attempts-"));
    await using attempt = await openAttempt(root);
    await rm(root, { recursive: true });
    const run = openProcesses().run({ ...shell("sleep 1000"), env: {}, attempt });
    await expect(run).rejects.toSatisfy((error) => isFailure(error, "not-found"));
    while (processesWith("LARDER_ATTEMPT").some(({ value }) => value === attempt.id)) await setImmediate();
  });

  it("run() leaves no descriptor open", async () => {
    const count = () => readdirSync("/proc/self/fd").length;
    const request = {
      ...shell("cat /dev/fd/3 /dev/fd/4"),
      env: {},
      descriptors: [Buffer.from("a"), Buffer.from("b")],
    };
    await openProcesses().run(request);
    const before = count();
    for (let at = 0; at < 5; at += 1) await openProcesses().run(request);
    expect(count()).toBe(before);
  });

  it("run() shows a program its own descriptors only, and no secret in its argv or environment", async () => {
    const result = await openProcesses().run({
      ...shell("ls /proc/self/fd; tr '\\0' '\\n' < /proc/self/cmdline; tr '\\0' '\\n' < /proc/self/environ"),
      env: {},
      descriptors: [Buffer.from("hush")],
    });
    expect(Buffer.from(result.stdout).toString()).not.toContain("hush");
  });
});

describe("attempts", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), "larder-attempts-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it("openAttempt() records the process and its start, and goes with its directory", async () => {
    {
      await using attempt = await openAttempt(root);
      const record = JSON.stringify(path.join(root, attempt.id, "process.json"));
      const result = await openProcesses().run({
        ...shell(`while [ ! -e ${record} ]; do :; done; cat ${record}; pwd`),
        env: {},
        cwd: attempt.directory,
        attempt,
      });
      const [json, cwd] = Buffer.from(result.stdout)
        .toString()
        .trim()
        .split(/(?<=\})/);
      expect(JSON.parse(json ?? "")).toEqual({
        pid: expect.any(Number),
        startTicks: expect.stringMatching(/^\d+$/),
        boot: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
      expect(cwd).toBe(attempt.directory);
    }
    expect(readdirSync(root)).toEqual([]);
  });

  it("sweepAttempts() ends what a SIGKILL orphaned, descendants in sessions of their own included", async () => {
    const parent = spawn(
      process.execPath,
      [path.join(import.meta.dirname, "testing/attempt-parent.ts"), root],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const pids = await new Promise<number[]>((resolve) => {
      let seen = "";
      parent.stdout.on("data", (chunk: Buffer) => {
        seen += chunk.toString();
        const found = /child (\d+) (\d+) (\d+)\n/.exec(seen);
        if (found !== null) resolve(found.slice(1).map(Number));
      });
    });
    // The shell names it before it has left.
    await expect.poll(() => sessionOf(pids[2] ?? 0)).toBe(pids[2]);
    const ended = new Promise((resolve) => parent.once("exit", resolve));
    parent.kill("SIGKILL");
    await ended;
    expect(pids.map(isRunning)).toEqual([true, true, true]);
    expect(await sweepAttempts(root)).toBeGreaterThanOrEqual(2);
    await Promise.all(pids.map(gone));
    expect(readdirSync(root)).toEqual([]);
  });

  it("sweepAttempts() ends a process that was started but not recorded yet", async () => {
    await using attempt = await openAttempt(root);
    const child = spawn("sleep", ["1000"], {
      env: { ...attempt.env, PATH: process.env["PATH"] },
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
    await new Promise((resolve) => child.once("spawn", resolve));
    expect(await sweepAttempts(root)).toBe(1);
    expect(await ended).toBe("SIGKILL");
  });

  it.each([
    ["started at another time", (pid: number) => ({ pid, startTicks: "1", boot: bootId() })],
    ["started in another boot", (pid: number) => ({ pid, startTicks: startTicksOf(pid), boot: "another" })],
  ])("sweepAttempts() lets a process live that has the recorded pid but %s", async (_how, record) => {
    await using attempt = await openAttempt(root);
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    await new Promise((resolve) => child.once("spawn", resolve));
    const file = path.join(root, attempt.id, "process.json");

    writeFileSync(file, JSON.stringify(record(child.pid ?? 0)));
    expect(await sweepAttempts(root)).toBe(0);
    expect(isRunning(child.pid ?? 0)).toBe(true);
    child.kill("SIGKILL");
  });

  it("openAttempt() says why there can be none", async () => {
    const file = path.join(root, "file");
    writeFileSync(file, "");
    await expect(openAttempt(file)).rejects.toSatisfy(
      (error) => isFailure(error) && error.message.includes(`under "${file}"`),
    );
  });

  it.each(["", "{", '{"pid":-1}', '{"pid":"x","startTicks":"1"}'])(
    "sweepAttempts() removes an attempt whose record is %j",
    async (record) => {
      await using attempt = await openAttempt(root);

      writeFileSync(path.join(root, attempt.id, "process.json"), record);
      expect(await sweepAttempts(root)).toBe(0);
      expect(existsSync(attempt.directory)).toBe(false);
    },
  );

  it("sweepAttempts() makes the root where there is none, and may be repeated", async () => {
    const fresh = path.join(root, "a/b");
    expect(await sweepAttempts(fresh)).toBe(0);
    expect(await sweepAttempts(fresh)).toBe(0);
  });
});

function sessionOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]);
}
