// What `make` does on a fresh clone, whatever Node the machine has.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import manifest from "../package.json" with { type: "json" };
import { putProgram } from "../testing/program.ts";

const top = path.resolve(import.meta.dirname, "..");

/** Of `npm`: it brings the pinned Node, and says which Node a script is run with. */
const NPM = `case $1 in
  install)
    echo "$@" >>"$BENCH/installs"
    [[ ! -e $BENCH/broken ]] || exit 1
    mkdir -p node_modules/.bin
    printf '#!/bin/sh\\necho the pinned Node\\n' >node_modules/.bin/node; chmod +x node_modules/.bin/node ;;
  run) echo "$*: $(node)" ;;
esac`;

describe("make", () => {
  let bench: string;
  beforeEach(() => {
    bench = mkdtempSync(path.join(os.tmpdir(), "larder-make-"));
    for (const name of ["Makefile", "package-lock.json", "tools/beat"])
      cpSync(path.join(top, name), path.join(bench, name));
    program("npm", NPM);
    program("node", "echo v12.22.9");
  });
  afterEach(() => rmSync(bench, { recursive: true }));

  const program = (name: string, script: string) => putProgram(path.join(bench, "path"), name, script);

  const make = (target: string) =>
    execa("make", [target], {
      cwd: bench,
      env: { PATH: `${bench}/path:/usr/bin:/bin`, BENCH: bench },
      extendEnv: false,
      reject: false,
      stdin: "ignore",
    });

  const installs = () => readFileSync(path.join(bench, "installs"), "utf8").trim().split("\n");

  it("installs once, and runs with the Node that came with it, not with the machine's old one", async () => {
    const first = await make("check");
    expect(first.stdout).toBe("run --silent check: the pinned Node");
    expect(first.stderr).toContain("installing the pinned packages, Node among them (once)");
    expect(await make("check")).toMatchObject({ stdout: first.stdout, stderr: "" });
    expect(installs()).toEqual(["install --no-save --loglevel=error"]);
  });

  it("installs again once other packages are pinned", async () => {
    await make("check");
    const later = new Date(Date.now() + 60_000);
    utimesSync(path.join(bench, "package-lock.json"), later, later);
    await make("check");
    expect(installs()).toHaveLength(2);
  });

  it("runs nothing after an installation that failed, and installs again", async () => {
    writeFileSync(path.join(bench, "broken"), "");
    expect(await make("check")).toMatchObject({ exitCode: 2, stdout: "" });
    expect(existsSync(path.join(bench, "node_modules/.ready"))).toBe(false);
    rmSync(path.join(bench, "broken"));
    expect((await make("check")).exitCode).toBe(0);
  });

  it("lists its targets, at most ten, without installing anything", async () => {
    const { stdout } = await make("help");
    const lines = stdout.split("\n");
    expect(lines.length).toBeLessThanOrEqual(10);
    for (const line of lines) expect(line).toMatch(/^make [a-z-]+ +\S/);
    expect(existsSync(path.join(bench, "installs"))).toBe(false);
  });

  it("runs these very tests with the Node that is pinned", () => {
    const pinned = manifest.optionalDependencies;
    expect(new Set(Object.values(pinned))).toEqual(new Set([process.versions.node]));
  });
});
