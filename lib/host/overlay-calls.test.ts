import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountsAt, parseMountinfo } from "../core/mountinfo.ts";
import { unmount } from "./mount-calls.ts";
import { overlaySource } from "./mounts.ts";
import { mountByOptions, mountOverlay } from "./overlay-calls.ts";
import { isPrivileged } from "./testing/privileged.ts";

const locked = { readOnly: true, noSuid: true, noDev: true };
const free = { readOnly: false, noSuid: false, noDev: false };

describe.runIf(isPrivileged())("mountByOptions(), the way of kernels before 6.8", () => {
  let root: string;
  const at = (...names: string[]) => path.join(root, ...names);
  const mounted = () => mountsAt(parseMountinfo(readFileSync("/proc/self/mountinfo")), at("t"));
  const layers = (count: number, folder = "") =>
    Array.from({ length: count }, (_, n) => {
      mkdirSync(at(folder, `layer-${n}`), { recursive: true });
      writeFileSync(at(folder, `layer-${n}`, "top"), `${n}`);
      return at(folder, `layer-${n}`);
    });

  beforeEach(async () => {
    root = realpathSync(mkdtempSync(path.join(os.tmpdir(), "larder-overlay-")));
    await execa("mount", ["-t", "tmpfs", "tmpfs", root]);
    for (const name of ["t", "u", "w"]) mkdirSync(at(name));
  });
  afterEach(async () => {
    for (const _ of mounted()) unmount(at("t"));
    await execa("umount", [root]);
    rmSync(root, { recursive: true });
  });

  it("shows 180 layers in order, with the flags asked for", () => {
    mountByOptions({ lower: layers(180), target: at("t"), flags: locked });
    expect(readFileSync(at("t", "top"), "utf8")).toBe("0");
    expect(mounted()).toMatchObject([
      { readOnly: true, noSuid: true, noDev: true, type: "overlay", source: overlaySource },
    ]);
    expect(() => writeFileSync(at("t", "f"), "")).toThrow(/EROFS/);
  });

  it("refuses more layers than fit a page with E2BIG, and leaves no descriptor open", () => {
    const before = readdirSync("/proc/self/fd").length;
    const mount = () => mountByOptions({ lower: layers(300), target: at("t"), flags: locked });
    expect(mount).toThrow(expect.objectContaining({ code: "E2BIG" }));
    expect(readdirSync("/proc/self/fd").length).toBe(before);
    expect(mounted()).toEqual([]);
  });

  it.each(["a:b,c\\d e", `${"n".repeat(200)}/${"m".repeat(200)}`])(
    "takes layers and upper in the folder %s",
    (odd) => {
      for (const name of ["u", "w"]) mkdirSync(at(odd, name), { recursive: true });
      const [lower, upper, work] = [layers(2, odd), at(odd, "u"), at(odd, "w")];
      mountByOptions({ lower, upper, work, target: at("t"), flags: free });
      expect(readFileSync(at("t", "top"), "utf8")).toBe("0");
      writeFileSync(at("t", "f"), "x");
      expect(readFileSync(at(odd, "u", "f"), "utf8")).toBe("x");
    },
  );

  it("says the same options as the newer way", () => {
    const request = {
      lower: layers(2),
      upper: at("u"),
      work: at("w"),
      target: at("t"),
      flags: free,
      volatile: true,
    };
    const said = (options = "") =>
      options.split(",").filter((option) => !/dir|^rw$/.test(option) || option.startsWith("redirect_dir"));
    mountByOptions(request);
    const older = said(mounted()[0]?.options);
    unmount(at("t"));
    for (const name of ["u", "w"]) {
      rmSync(at(name), { recursive: true });
      mkdirSync(at(name));
    }
    mountOverlay(request);
    expect(older).toContain("redirect_dir=nofollow");
    expect(older.join()).toContain("volatile");
    expect(said(mounted()[0]?.options)).toEqual(older);
  });

  it("follows marks of renamed directories only when asked", () => {
    const [lower = ""] = layers(1);
    mkdirSync(path.join(lower, "d"));
    writeFileSync(path.join(lower, "d", "f"), "x");
    mountByOptions({
      lower: [lower],
      upper: at("u"),
      work: at("w"),
      target: at("t"),
      flags: free,
      redirectDir: true,
    });
    renameSync(at("t", "d"), at("t", "e"));
    unmount(at("t"));
    mountByOptions({ lower: [at("u"), lower], target: at("t"), flags: locked, redirectDir: true });
    expect(readdirSync(at("t", "e"))).toEqual(["f"]);
    unmount(at("t"));
    mountByOptions({ lower: [at("u"), lower], target: at("t"), flags: locked });
    expect(() => readFileSync(at("t", "e", "f"))).toThrow();
  });

  it("never follows a symlink as target or layer", () => {
    const lower = layers(2);
    symlinkSync(at("t"), at("link"));
    const refuses = (target: string, layer: string) =>
      expect(() => mountByOptions({ lower: [layer, ...lower], target, flags: locked })).toThrow(
        /ELOOP|ENOTDIR/,
      );
    refuses(at("link"), at("u"));
    refuses(at("t"), at("link"));
    expect(mounted()).toEqual([]);
  });
});
