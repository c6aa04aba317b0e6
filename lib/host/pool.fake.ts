// The memory twin of the pool: sizes, and files that stay across restarts of the node.
import { Failure } from "../core/failure.ts";
import { type OpenPool, type PoolRequest, type Pools, SMALLEST_POOL_BYTES } from "./pool.ts";

type Image = { bytes: number; readonly files: Map<string, string> };

export class MemoryPools implements Pools {
  readonly images = new Map<string, Image>();
  readonly mounted = new Map<string, Image>();
  freeBytes: number;

  constructor(freeBytes: number) {
    this.freeBytes = freeBytes;
  }

  async open(request: PoolRequest): Promise<OpenPool> {
    const { image: path, mountPoint, bytes } = request;
    if (!Number.isSafeInteger(bytes) || bytes < SMALLEST_POOL_BYTES)
      throw new Failure("invalid", `Cannot make the pool "${path}" of ${bytes} bytes: it is too small`);
    const image = this.images.get(path) ?? { bytes: 0, files: new Map<string, string>() };
    const there = this.mounted.get(mountPoint);
    if (there !== undefined && there !== image)
      throw new Failure("conflict", `Cannot mount the pool "${path}" at "${mountPoint}": something else is`);
    const shortfall = this.#grow(path, image, request);
    this.images.set(path, image);
    this.mounted.set(mountPoint, image);
    const pool = { mountPoint, device: "/dev/loop0", bytes: image.bytes };
    return shortfall === undefined ? pool : { ...pool, shortfall };
  }

  /** The node goes down and comes up. */
  reboot(): void {
    this.mounted.clear();
  }

  #grow(path: string, image: Image, { bytes, floorBytes }: PoolRequest): string | undefined {
    const lacking = Math.max(0, bytes - image.bytes);
    if (lacking > 0 && this.freeBytes - lacking < floorBytes) {
      const told = `Cannot make the pool "${path}" of ${bytes} bytes: ${floorBytes} must stay free`;
      if (image.bytes === 0) throw new Failure("full", told);
      return told;
    }
    this.freeBytes -= lacking;
    image.bytes += lacking;
    return undefined;
  }
}
