import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { fillUpper, startCopy, startUpper } from "./start-upper.ts";
import { Scratch } from "./testing/scratch.ts";

const modeOf = (at: string) => statSync(at).mode & 0o7777;

describe("startUpper()", () => {
  it("makes an empty root that looks like the base's, or as it was wished", async () => {
    using scratch = new Scratch();
    const base = path.join(scratch.path, "base");
    mkdirSync(base);
    writeFileSync(path.join(base, "file"), "x");
    chownSync(base, 7, 8);
    chmodSync(base, 0o2750);
    const upper = path.join(scratch.path, "upper");
    await startUpper(upper, [base], { uid: 9 });
    expect([modeOf(upper), statSync(upper).uid, statSync(upper).gid]).toEqual([0o2750, 9, 8]);
    expect(() => readFileSync(path.join(upper, "file"))).toThrow("ENOENT");
  });

  it("is everybody's where there is no base, and stays as it is once it is there", async () => {
    using scratch = new Scratch();
    const upper = path.join(scratch.path, "upper");
    mkdirSync(`${upper}.new`);
    writeFileSync(`${upper}.new/half-made`, "");
    await startUpper(upper, [], {});
    expect(modeOf(upper)).toBe(0o777);
    writeFileSync(path.join(upper, "kept"), "mine");
    await startUpper(upper, [], { mode: 0o700 });
    expect(modeOf(upper)).toBe(0o777);
    expect(readFileSync(path.join(upper, "kept"), "utf8")).toBe("mine");
  });
});

describe("startCopy()", () => {
  it("holds what the layers show together, to be written to alone", async () => {
    using scratch = new Scratch();
    const [low, top] = [path.join(scratch.path, "low"), path.join(scratch.path, "top")];
    mkdirSync(low);
    mkdirSync(top);
    writeFileSync(path.join(low, "a"), "low");
    writeFileSync(path.join(low, "b"), "low");
    writeFileSync(path.join(top, "b"), "top");
    const upper = path.join(scratch.path, "upper");
    await startCopy(upper, [top, low], {});
    writeFileSync(path.join(upper, "a"), "changed");
    expect(readFileSync(path.join(low, "a"), "utf8")).toBe("low");
    expect(readFileSync(path.join(upper, "b"), "utf8")).toBe("top");
  });
});

describe("fillUpper()", () => {
  it("makes an upper or a copy, as the layout says", async () => {
    using scratch = new Scratch();
    const base = path.join(scratch.path, "base");
    mkdirSync(base);
    writeFileSync(path.join(base, "file"), "x");
    for (const layout of ["overlay", "copy"] as const) {
      const upper = path.join(scratch.path, layout);
      await fillUpper({ upper, layout, wishes: { mode: 0o711 } }, [base]);
      expect([modeOf(upper), readdirSync(upper)]).toEqual([0o711, layout === "copy" ? ["file"] : []]);
    }
  });

  it("leaves nothing of a copy that does not fit, and says that it is full", async () => {
    using scratch = new Scratch();
    const [base, small] = [path.join(scratch.path, "base"), path.join(scratch.path, "small")];
    for (const directory of [base, small]) mkdirSync(directory);
    writeFileSync(path.join(base, "file"), randomBytes(2 << 20));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "small", small]);
    try {
      const copying = fillUpper({ upper: path.join(small, "upper"), layout: "copy", wishes: {} }, [base]);
      await expect(copying).rejects.toSatisfy((error) => isFailure(error, "full"));
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync("umount", [small]);
    }
  });
});
