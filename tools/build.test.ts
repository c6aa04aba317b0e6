import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { putProgram } from "../testing/program.ts";

const top = path.resolve(import.meta.dirname, "..");

/** Of `go`: it builds a program that says so, once the file GO is there. */
const GO = `case $1 in
  env) echo go1.99 linux ;;
  build)
    echo built >>"$BENCH/builds"
    [[ ! -e $BENCH/broken ]] || { echo "no such module" >&2; exit 1; }
    until [[ -e $BENCH/ready ]]; do read -rt 0.02 <> <(:) || true; done
    while [[ $1 != -o ]]; do shift; done
    printf '#!/bin/sh\\necho own\\n' >"$2"; chmod +x "$2" ;;
esac`;

describe("tools/build", () => {
  let bench: string;
  beforeEach(() => {
    bench = mkdtempSync(path.join(os.tmpdir(), "larder-build-"));
    for (const name of ["tools/build", "tools/beat", "tools/oras", "tools/registry"])
      cpSync(path.join(top, name), path.join(bench, name), { recursive: true });
    program("go", GO);
    writeFileSync(path.join(bench, "ready"), "");
  });
  afterEach(() => rmSync(bench, { recursive: true }));

  /** One that is on the PATH. */
  const program = (name: string, script: string) => putProgram(path.join(bench, "path"), name, script);

  const build = (...names: readonly string[]) =>
    execa(path.join(bench, "tools/build"), names, {
      env: { PATH: `${bench}/path:/usr/bin:/bin`, BENCH: bench, LARDER_BEAT_SECONDS: "0.05" },
      extendEnv: false,
      reject: false,
      stdin: "ignore",
    });

  const oras = (version: string) =>
    program("oras", `echo "Version:        ${version}"; echo "Go version:     go1.26"`);

  it.each(["1.3.3", "1.3.3+Homebrew"])(
    "takes an oras of the right version (%s) that is on the PATH",
    async (version) => {
      const own = oras(version);
      expect(await build("oras")).toMatchObject({ exitCode: 0, stdout: own });
      expect(existsSync(path.join(bench, "builds"))).toBe(false);
    },
  );

  it.each(["1.3.2", "1.3.30", "1.3.3-rc.1", "11.3.3", "1x3.3", "0.1.3.3"])(
    "builds its own where the oras on the PATH is of another version (%s)",
    async (version) => {
      const theirs = oras(version);
      const { stdout } = await build("oras");
      expect(stdout).not.toBe(theirs);
      expect((await execa(stdout)).stdout).toBe("own");
    },
  );

  it("builds its own where the oras on the PATH does not run", async () => {
    program("oras", "exit 1");
    expect((await build("oras")).stdout).toContain(path.join(bench, ".cache/tools/oras-"));
  });

  it("takes no other program from the PATH", async () => {
    program("registry", 'echo "Version: 3.1.1"');
    expect((await build("registry")).stdout).toContain(path.join(bench, ".cache/tools/registry-"));
  });

  it("builds once", async () => {
    const first = await build("registry");
    const second = await build("registry");
    expect(second.stdout).toBe(first.stdout);
    expect(second.stderr).toBe("");
    expect(readdirSync(path.join(bench, ".cache/tools"))).toHaveLength(1);
  });

  it("leaves nothing of a build that fails, says so, and builds with the next try", async () => {
    writeFileSync(path.join(bench, "broken"), "");
    const failed = await build("registry");
    expect(failed).toMatchObject({ exitCode: 1, stdout: "" });
    expect(failed.stderr).toContain("no such module\n");
    expect(failed.stderr).toMatch(/\ntools\/build: building registry failed; what Go said is above$/);
    expect(readdirSync(path.join(bench, ".cache/tools"))).toEqual([]);
    rmSync(path.join(bench, "broken"));
    expect((await build("registry")).exitCode).toBe(0);
  });

  it("says every few seconds that it is at it", async () => {
    rmSync(path.join(bench, "ready"));
    const building = build("registry");
    const told: string[] = [];
    for await (const line of building.iterable({ from: "stderr" })) {
      told.push(line);
      if (told.length === 3) writeFileSync(path.join(bench, "ready"), "");
    }
    expect((await building).exitCode).toBe(0);
    expect(told[0]).toMatch(/^building registry \(once; github\.com\/distribution\//);
    for (const line of told.slice(1, -1)) expect(line).toMatch(/^ {2}… \d+ s$/);
    expect(told.at(-1)).toMatch(/^built registry in \d+ s$/);
  });

  it.each([
    ["a program it does not know", ["orass"], 'there is no program called "orass" in tools/ or bench/peers/'],
    ["nothing", [], "name at least one program, such as: tools/build oras registry"],
  ])("refuses %s in a sentence", async (_, names, told) => {
    expect(await build(...names)).toMatchObject({ exitCode: 1, stdout: "", stderr: `tools/build: ${told}` });
  });
});
