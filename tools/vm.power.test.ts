import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const vm = path.join(import.meta.dirname, "vm");

function inMachine(options: readonly string[], script: string) {
  const { status, stdout, stderr } = spawnSync(vm, [...options, "--", "bash", "-ec", script], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("tools/vm", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-power-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("--kill-on-exit loses what was never synced, and --keep-disk keeps what was", () => {
    const disk = path.join(folder, "disk");
    // The sync of one file takes the names of all before it to the disk, and hardly any of their bytes.
    const before = inMachine(
      ["--keep-disk", disk, "--kill-on-exit", "--disk", "1G"],
      `cd "$LARDER_VM_XFS"
       mkdir ingest; head -c 64M /dev/zero >ingest/file; mv ingest layer
       echo kept >synced; sync synced
       echo lost >later
       echo written; exit 3`,
    );
    expect(before).toEqual({ status: 3, stdout: "written\n", stderr: "" });
    const after = inMachine(
      ["--keep-disk", disk],
      `cd "$LARDER_VM_XFS"; ls; cat synced; [ "$(stat -c %s layer/file)" -lt 67108864 ] && echo "not whole"`,
    );
    expect(after).toEqual({ status: 0, stdout: "layer\nsynced\nkept\nnot whole\n", stderr: "" });
  });

  it("shares only the folder it was given, throws the rest away, and answers with the command's status", () => {
    const run = inMachine(
      ["--out", path.join(folder, "out")],
      `echo shared >${folder}/out/file; echo lost >${folder}/lost; findmnt -no FSTYPE,OPTIONS "$LARDER_VM_XFS"; echo bad >&2; exit 42`,
    );
    expect(run.status).toBe(42);
    expect(run.stderr).toBe("bad\n");
    expect(run.stdout).toMatch(/^xfs .*prjquota/);
    const left = spawnSync("find", [".", "-type", "f"], { cwd: folder, encoding: "utf8" }).stdout;
    expect(left).toBe("./out/file\n");
  });

  it("--limit ends the machine, and leaves no folder and no process behind", () => {
    const limited = spawnSync(vm, ["--limit", "1", "--", "sleep", "1000"], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: folder },
    });
    expect(limited.status).toBe(124);
    expect(limited.stderr).toContain("limit of 1 s");
    expect(spawnSync("find", [folder, "-mindepth", "1"], { encoding: "utf8" }).stdout).toBe("");
    expect(spawnSync("pgrep", ["-f", folder], { encoding: "utf8" }).stdout).toBe("");
  });

  it("refuses a path that QEMU cannot take, in words", () => {
    const run = spawnSync(vm, ["--out", path.join(folder, "a b"), "--", "true"], { encoding: "utf8" });
    expect(run.status).toBe(2);
    expect(run.stderr).toContain("no commas and the kernel no spaces");
  });
});
