// The memory twin of loop devices, with images that are no more than sizes.
import { Failure } from "../core/failure.ts";
import type { HeldLoopDevice, LoopDevice, LoopDevices } from "./loop-devices.ts";

type Image = { bytes: number };
type Attachment = { readonly number: number; bytes: number; holders: number };

/** `images` by path; two paths with the same value are one file. */
export class MemoryLoopDevices implements LoopDevices {
  readonly images = new Map<string, Image | "directory">();
  readonly #attached = new Map<Image, Attachment>();

  async find(path: string): Promise<LoopDevice | undefined> {
    const attachment = this.#attached.get(this.#image("look for the device of", path));
    return attachment === undefined ? undefined : describe(attachment);
  }

  async attach(path: string): Promise<HeldLoopDevice> {
    const image = this.#image("attach", path);
    const attachment = this.#attached.get(image) ?? {
      number: this.#freeNumber(),
      bytes: image.bytes,
      holders: 0,
    };
    attachment.holders++;
    this.#attached.set(image, attachment);
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      attachment.holders--;
      if (attachment.holders === 0) this.#attached.delete(image);
    };
    return { ...describe(attachment), [Symbol.dispose]: release };
  }

  async grow(path: string): Promise<LoopDevice> {
    const image = this.#image("grow the device of", path);
    const attachment = this.#attached.get(image);
    if (attachment === undefined)
      throw new Failure("not-found", `Cannot grow the device of "${path}": it has none; attach it first`);
    attachment.bytes = image.bytes;
    return describe(attachment);
  }

  #freeNumber(): number {
    const taken = new Set([...this.#attached.values()].map(({ number }) => number));
    let number = 0;
    while (taken.has(number)) number++;
    return number;
  }

  #image(what: string, path: string): Image {
    const image = this.images.get(path);
    if (image === undefined) throw new Failure("not-found", `Cannot ${what} "${path}": it does not exist`);
    if (image === "directory") throw new Failure("conflict", `Cannot ${what} "${path}": it is a directory`);
    return image;
  }
}

function describe({ number, bytes }: Attachment): LoopDevice {
  return { path: `/dev/loop${number}`, device: `7:${number}`, bytes, directIo: true };
}
