// What every implementation of loop devices does.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import type { LoopDevices } from "./loop-devices.ts";

export type LoopBench = {
  readonly loops: LoopDevices;
  /** The path of a new file of that size. */
  makeImage(name: string, bytes: number): string;
  resizeImage(image: string, bytes: number): void;
  /** Another path of the same file. */
  linkImage(image: string, name: string): string;
  makeDirectory(name: string): string;
  /** A path where nothing is. */
  missing(name: string): string;
  dispose(): void;
};

const MIB = 1024 * 1024;
const failing = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason));

export function loopDevicesContract(name: string, open: () => LoopBench): void {
  describe(`loop devices: ${name}`, () => {
    let bench: LoopBench;
    let loops: LoopDevices;
    let image: string;
    const gone = (image: string) =>
      expect.poll(async () => await loops.find(image), { timeout: 30_000, interval: 20 }).toBeUndefined();

    beforeEach(() => {
      bench = open();
      loops = bench.loops;
      image = bench.makeImage("image", 4 * MIB);
    });
    afterEach(async () => {
      await gone(image);
      bench.dispose();
    });

    it("find() has nothing for an image that was never attached", async () => {
      expect(await loops.find(image)).toBeUndefined();
    });

    it("attach() gives the image a device of its size, which find() finds", async () => {
      using device = await loops.attach(image);
      expect(device).toMatchObject({ bytes: 4 * MIB, path: expect.stringMatching(/loop\d+$/) });
      expect(device.device).toMatch(/^7:\d+$/);
      expect(await loops.find(image)).toEqual({
        path: device.path,
        device: device.device,
        bytes: device.bytes,
        directIo: device.directIo,
      });
    });

    it("attach() again, and by another path of the same file, is the same device", async () => {
      const link = bench.linkImage(image, "link");
      using first = await loops.attach(image);
      using second = await loops.attach(image);
      using third = await loops.attach(link);
      expect([second.path, third.path]).toEqual([first.path, first.path]);
    });

    it("attach() ten times at once is one device", async () => {
      using stack = new DisposableStack();
      const devices = await Promise.all(Array.from({ length: 10 }, () => loops.attach(image)));
      for (const device of devices) stack.use(device);
      expect(new Set(devices.map(({ path }) => path)).size).toBe(1);
    });

    it("attach() of two images at once is two devices", async () => {
      const other = bench.makeImage("other", MIB);
      {
        using stack = new DisposableStack();
        const devices = await Promise.all([loops.attach(image), loops.attach(other)]);
        for (const device of devices) stack.use(device);
        expect(devices.map(({ bytes }) => bytes)).toEqual([4 * MIB, MIB]);
        expect(new Set(devices.map(({ path }) => path)).size).toBe(2);
      }
      await gone(other);
    });

    it("attach() holds the device until the last holder lets go, each once", async () => {
      const first = await loops.attach(image);
      const second = await loops.attach(image);
      first[Symbol.dispose]();
      first[Symbol.dispose]();
      expect((await loops.find(image))?.path).toBe(second.path);
      second[Symbol.dispose]();
      await gone(image);
    });

    it("attach() works again after all let go", async () => {
      for (let n = 0; n < 5; n++) {
        using device = await loops.attach(image);
        expect(device.bytes).toBe(4 * MIB);
      }
    });

    it("attach() takes names with spaces, line breaks and many letters", async () => {
      const odd = bench.makeImage(`a b\nc${"x".repeat(200)}`, MIB);
      {
        using device = await loops.attach(odd);
        expect((await loops.find(odd))?.path).toBe(device.path);
      }
      await gone(odd);
    });

    it("grow() makes the device as large as the image is now, again and again", async () => {
      using device = await loops.attach(image);
      expect((await loops.grow(image)).bytes).toBe(4 * MIB);
      bench.resizeImage(image, 6 * MIB);
      expect((await loops.find(image))?.bytes).toBe(4 * MIB);
      expect(await loops.grow(image)).toMatchObject({ path: device.path, bytes: 6 * MIB });
      expect((await loops.grow(image)).bytes).toBe(6 * MIB);
    });

    it("grow() of an image without a device is not-found", async () => {
      await expect(loops.grow(image)).rejects.toEqual(failing("not-found"));
    });

    it("each call refuses what does not exist, and a directory", async () => {
      for (const [path, reason] of [
        [bench.missing("missing"), "not-found"],
        [bench.makeDirectory("directory"), "conflict"],
      ] as const) {
        await expect(loops.find(path)).rejects.toEqual(failing(reason));
        await expect(loops.attach(path)).rejects.toEqual(failing(reason));
        await expect(loops.grow(path)).rejects.toEqual(failing(reason));
      }
    });
  });
}
