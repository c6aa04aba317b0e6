import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeLock } from "./lock.ts";

describe("takeLock()", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-lock-"));
    file = path.join(folder, "lock");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const busy = (pid: number) => ({
    reason: "busy",
    message: expect.stringMatching(new RegExp(`"${file}".*\\b${pid}\\b.*LARDER_ROOT`)),
  });
  const take = () => {
    using _lock = takeLock(file);
  };

  it("takes it, again after it was let go, and says who has it", () => {
    take();
    take();
    expect(readFileSync(file, "utf8")).toBe(`${process.pid}\n`);
  });

  it("takes it on a full disk, too", async () => {
    await execa("mount", ["-t", "tmpfs", "-o", "size=4k", "tmpfs", folder]);
    try {
      writeFileSync(path.join(folder, "filler"), "x".repeat(4096));
      take();
    } finally {
      await execa("umount", [folder]);
    }
  });

  it("refuses a second taker in the same process, which costs the first nothing", () => {
    using _lock = takeLock(file);
    expect(take).toThrow(expect.objectContaining(busy(process.pid)));
    expect(take).toThrow(expect.objectContaining(busy(process.pid)));
  });

  it("refuses while another process has it, naming that, and takes it once that was killed", async () => {
    const lockModule = new URL("./lock.ts", import.meta.url).href;
    const program = `import { takeLock } from ${JSON.stringify(lockModule)};
      takeLock(process.argv[1]); console.log("held"); setInterval(() => {}, 60_000);`;
    const holder = execa(process.execPath, ["--input-type=module", "-e", program, file], { reject: false });
    await once(holder.stdout, "data");
    expect(take).toThrow(expect.objectContaining(busy(holder.pid ?? -1)));
    holder.kill("SIGKILL");
    await holder;
    take();
  });

  it("is not kept by a child that outlives the holder", async () => {
    const lock = takeLock(file);
    const child = execa("sleep", ["600"], { reject: false });
    lock[Symbol.dispose]();
    take();
    child.kill("SIGKILL");
    await child;
  });

  it("let go twice, closes nothing that is not its own", () => {
    const lock = takeLock(file);
    lock[Symbol.dispose]();
    using _second = takeLock(file);
    lock[Symbol.dispose]();
    expect(take).toThrow(expect.objectContaining(busy(process.pid)));
  });

  it("does not trust what the file says", () => {
    writeFileSync(file, "999999 and a long story that is not a number");
    using _lock = takeLock(file);
    expect(readFileSync(file, "utf8")).toBe(`${process.pid}\n`);
  });

  it("refuses a symlink, and a directory that is not there", () => {
    symlinkSync(path.join(folder, "elsewhere"), file);
    expect(take).toThrow(expect.objectContaining({ reason: "conflict" }));
    expect(() => takeLock(path.join(folder, "none", "lock"))).toThrow(
      expect.objectContaining({ reason: "not-found" }),
    );
  });
});
