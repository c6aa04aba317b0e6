import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { type LoopBench, loopDevicesContract } from "./loop-devices.contract.ts";
import { MemoryLoopDevices } from "./loop-devices.fake.ts";
import { LinuxLoopDevices } from "./loop-devices.linux.ts";

const MIB = 1024 * 1024;
const privileged = process.getuid?.() === 0 && existsSync("/dev/loop-control");

loopDevicesContract("memory twin", () => {
  const loops = new MemoryLoopDevices();
  const image = (name: string) => loops.images.get(name) as { bytes: number };
  return {
    loops,
    makeImage(name, bytes) {
      loops.images.set(`/${name}`, { bytes });
      return `/${name}`;
    },
    resizeImage(name, bytes) {
      image(name).bytes = bytes;
    },
    linkImage(name, link) {
      loops.images.set(`/${link}`, image(name));
      return `/${link}`;
    },
    makeDirectory(name) {
      loops.images.set(`/${name}`, "directory");
      return `/${name}`;
    },
    missing: (name) => `/${name}`,
    dispose() {},
  };
});

function openBench(loops = new LinuxLoopDevices()): LoopBench & { readonly root: string } {
  const root = mkdtempSync(path.join(os.tmpdir(), "larder-loops-"));
  const at = (name: string) => path.join(root, name);
  return {
    root,
    loops,
    makeImage(name, bytes) {
      writeFileSync(at(name), "");
      truncateSync(at(name), bytes);
      return at(name);
    },
    resizeImage: truncateSync,
    linkImage(image, name) {
      linkSync(image, at(name));
      return at(name);
    },
    makeDirectory(name) {
      mkdirSync(at(name));
      return at(name);
    },
    missing: at,
    dispose: () => rmSync(root, { recursive: true }),
  };
}

describe.runIf(privileged)("on this kernel", () => {
  loopDevicesContract("Linux", () => openBench());

  let bench: ReturnType<typeof openBench>;
  let image: string;
  beforeEach(() => {
    bench = openBench();
    image = bench.makeImage("image", 4 * MIB);
  });
  afterEach(async () => {
    await expect.poll(async () => await bench.loops.find(image), { timeout: 30_000 }).toBeUndefined();
    bench.dispose();
  });

  it("LinuxLoopDevices.attach() carries what is written to the device into the image", async () => {
    using device = await bench.loops.attach(image);
    const fd = openSync(device.path, "r+");
    try {
      writeSync(fd, Buffer.alloc(4096, "larder"), 0, 4096, MIB);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    expect(
      readFileSync(image)
        .subarray(MIB, MIB + 12)
        .toString(),
    ).toBe("larderlarder");
  });

  it("LinuxLoopDevices.find() knows an image by its inode, not by a name that another file had", async () => {
    using device = await bench.loops.attach(image);
    rmSync(image);
    bench.makeImage("image", MIB);
    expect(await bench.loops.find(image)).toBeUndefined();
    using other = await bench.loops.attach(image);
    expect(other.path).not.toBe(device.path);
  });

  it.each([
    ["in part", ["--offset", "4096"]],
    ["read-only", ["--read-only"]],
  ])("LinuxLoopDevices.attach() refuses an image that others show %s", async (words, options) => {
    const { stdout } = await execa("losetup", ["--find", "--show", ...options, image]);
    try {
      const error: unknown = await bench.loops.attach(image).catch((error: unknown) => error);
      expect(isFailure(error, "conflict")).toBe(true);
      expect(String(error)).toContain(`${words}; detach that with losetup -d ${stdout}`);
    } finally {
      await execa("losetup", ["-d", stdout]);
    }
  });

  it("LinuxLoopDevices.attach() takes a device over that a plugin before it attached", async () => {
    const { stdout } = await execa("losetup", ["--find", "--show", image]);
    {
      using device = await bench.loops.attach(image);
      expect(device.path).toBe(stdout);
    }
    await execa("losetup", ["-d", stdout]);
  });

  it("LinuxLoopDevices makes the nodes that a container's /dev lacks", async () => {
    const nodes = bench.makeDirectory("dev");
    const loops = new LinuxLoopDevices(nodes);
    using device = await loops.attach(image);
    expect(path.dirname(device.path)).toBe(nodes);
    expect((await loops.grow(image)).bytes).toBe(4 * MIB);
    expect(readdirSync(nodes)).toContain("loop-control");
  });

  it("LinuxLoopDevices.attach() never follows a symbolic link", async () => {
    symlinkSync(image, path.join(bench.root, "link"));
    await expect(bench.loops.attach(path.join(bench.root, "link"))).rejects.toEqual(
      expect.toSatisfy((error) => isFailure(error, "conflict")),
    );
  });

  it("LinuxLoopDevices leaves no descriptor open, whatever fails", async () => {
    const before = readdirSync("/proc/self/fd").length;
    for (let n = 0; n < 20; n++) {
      await bench.loops.attach(path.join(bench.root, "missing")).catch(() => {});
      await bench.loops.grow(image).catch(() => {});
      using _ = await bench.loops.attach(image);
    }
    expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before + 1);
  });
});
