import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findProgram } from "./find-program.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "larder-program-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(directory: string, mode = 0o755): string {
  mkdirSync(path.join(folder, directory), { recursive: true });
  const at = path.join(folder, directory, "tool");
  writeFileSync(at, "#!/bin/sh\n");
  chmodSync(at, mode);
  return at;
}

describe("findProgram()", () => {
  it("finds a name where it is first on the PATH", async () => {
    mkdirSync(path.join(folder, "a/tool"), { recursive: true });
    const [b, c] = [program("b"), program("c")];
    const places = ["a", "b", "c", "none"].map((name) => path.join(folder, name));
    expect(await findProgram("tool", places.join(":"))).toBe(b);
    expect(await findProgram("tool", places.toReversed().join(":"))).toBe(c);
  });

  it("takes a path as it is, and looks for it nowhere else", async () => {
    const at = program("a");
    expect(await findProgram(at, "")).toBe(at);
    expect(await findProgram("/nowhere/tool", path.dirname(at))).toBeUndefined();
  });

  it("finds nothing that cannot be run", async () => {
    program("a", 0o644);
    expect(await findProgram("tool", path.join(folder, "a"))).toBeUndefined();
    expect(await findProgram("tool", "")).toBeUndefined();
  });
});
