import { chmodSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runApart } from "./namespace.ts";

describe("runApart()", () => {
  let bench: string;
  let told: string[];
  beforeEach(() => {
    bench = mkdtempSync(path.join(os.tmpdir(), "larder-namespace-"));
    told = [];
    vi.spyOn(console, "error").mockImplementation((text: string) => void told.push(text));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(bench, { recursive: true });
  });

  /** The only program there is. */
  function unshare(script: string): void {
    writeFileSync(path.join(bench, "unshare"), `#!/bin/sh\necho "$@" >>${bench}/asked\n${script}\n`);
    chmodSync(path.join(bench, "unshare"), 0o755);
    vi.stubEnv("PATH", bench);
  }

  const asked = () => readFileSync(path.join(bench, "asked"), "utf8").trim().split("\n");

  it("runs the command in a namespace of its own, and has its status", () => {
    const inside = path.join(bench, "inside");
    const script = `readlink /proc/self/ns/mnt >${inside}; exit 7`;
    expect(runApart("/bin/sh", ["-c", script])).toBe(7);
    const theirs = readFileSync(inside, "utf8").trim();
    expect(theirs).toMatch(/^mnt:\[\d+\]$/);
    expect(theirs).not.toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(told).toEqual([]);
  });

  it("says in a sentence that it needs root or user namespaces where there is neither", () => {
    unshare("echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1");
    vi.spyOn(process, "getuid").mockReturnValue(1000);
    expect(runApart("true", [])).toBe(1);
    expect(told).toEqual([
      "This needs root, or user namespaces, to mount anything: unshare: unshare failed: Operation not permitted.",
    ]);
    expect(asked()).toEqual(["--mount --propagation private --map-root-user true"]);
  });

  it("asks for a user namespace only where it is not root", () => {
    unshare("exit 0");
    vi.spyOn(process, "getuid").mockReturnValue(0);
    expect(runApart("demo", ["part"])).toBe(0);
    expect(asked()).toEqual([
      "--mount --propagation private true",
      "--mount --propagation private --fork --kill-child demo part",
    ]);
  });

  it("says in a sentence which program it needs where that is not there", () => {
    vi.stubEnv("PATH", bench);
    expect(runApart("true", [])).toBe(1);
    expect(told).toEqual(["This needs the program unshare; it comes with the package util-linux."]);
  });
});
