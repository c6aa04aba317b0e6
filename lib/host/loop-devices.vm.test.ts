// Where direct I/O is agreed to and then fails: the machine's own root is an overlay over memory.
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { LinuxLoopDevices } from "./loop-devices.linux.ts";

const loops = new LinuxLoopDevices();

it.each([
  ["XFS", process.env["LARDER_VM_XFS"] ?? "", true],
  ["an overlay over memory", "/var/tmp", false],
] as const)(
  "LinuxLoopDevices.attach() to an image on %s writes through the device",
  async (_, parent, directIo) => {
    const folder = mkdtempSync(path.join(parent, "loops-"));
    const image = path.join(folder, "image");
    writeFileSync(image, Buffer.alloc(1024 * 1024));
    {
      using device = await loops.attach(image);
      expect(device.directIo).toBe(directIo);
      const fd = openSync(device.path, "r+");
      try {
        writeSync(fd, Buffer.alloc(4096, "larder"), 0, 4096, 8192);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      expect(readFileSync(image).subarray(8192, 8204).toString()).toBe("larderlarder");
    }
    await vi.waitUntil(async () => (await loops.find(image)) === undefined, {
      timeout: 60_000,
      interval: 20,
    });
    rmSync(folder, { recursive: true });
  },
);
