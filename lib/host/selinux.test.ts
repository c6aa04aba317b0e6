import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checked, cpath, libcFunction } from "./libc.ts";
import { hasSelinux, isSelinuxLabel, labelDirectory, parseFilesystems } from "./selinux.ts";
import { isPrivileged } from "./testing/privileged.ts";

const lgetxattr = libcFunction("int lgetxattr(const char *path, const char *name, void *value, size_t size)");
const label = "system_u:object_r:container_file_t:s0";

describe("parseFilesystems()", () => {
  it("reads the names of file systems with and without a device", () => {
    expect([...parseFilesystems("nodev\tsysfs\nnodev\tselinuxfs\n\text4\n")]).toEqual([
      "sysfs",
      "selinuxfs",
      "ext4",
    ]);
  });

  it("takes a name for no more than it is", () => {
    expect(parseFilesystems("nodev\tnoselinuxfs\n").has("selinuxfs")).toBe(false);
    expect(parseFilesystems("").has("selinuxfs")).toBe(false);
  });

  it("reads what this kernel says", () => {
    expect(parseFilesystems(readFileSync("/proc/filesystems", "latin1")).has("proc")).toBe(true);
    expect(hasSelinux()).toBe(readFileSync("/proc/filesystems", "latin1").includes("\tselinuxfs\n"));
  });
});

describe("isSelinuxLabel()", () => {
  it.each([label, "u:r:t", "system_u:object_r:container_file_t:s0:c1,c2", "a:b:c:s0-s15:c0.c1023"])(
    "takes %s",
    (text) => {
      expect(isSelinuxLabel(text)).toBe(true);
    },
  );

  it.each(["", "container_file_t", "a:b", "a:b:c d", "a:b:c\n", 'a:b:c"', "a::c", `a:b:${"c".repeat(300)}`])(
    "refuses %j",
    (text) => {
      expect(isSelinuxLabel(text)).toBe(false);
    },
  );
});

describe("labelDirectory()", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-label-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const readLabel = (at: string) => {
    const value = Buffer.alloc(256);
    return value.toString(
      "latin1",
      0,
      checked("lgetxattr", lgetxattr(cpath(at), cpath("security.selinux"), value, 256)),
    );
  };

  it.runIf(isPrivileged())("writes the label, again and again", () => {
    labelDirectory(folder, label);
    labelDirectory(folder, label);
    expect(readLabel(folder)).toBe(`${label}\0`);
  });

  it("refuses what is not there, and a label that is none", () => {
    expect(() => labelDirectory(path.join(folder, "none"), label)).toThrow(
      expect.objectContaining({ reason: "not-found" }),
    );
    expect(() => labelDirectory(folder, "shared")).toThrow(
      expect.objectContaining({ reason: "invalid", message: expect.stringContaining('"shared"') }),
    );
  });

  it.runIf(isPrivileged())("never labels what a symlink points at", () => {
    symlinkSync("/proc", path.join(folder, "link"));
    labelDirectory(path.join(folder, "link"), label);
    expect(readLabel(path.join(folder, "link"))).toBe(`${label}\0`);
    expect(() => readLabel("/proc")).toThrow();
  });
});
