// What every implementation of the pool does.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { type PoolRequest, type Pools, SMALLEST_POOL_BYTES } from "./pool.ts";

export type PoolBench = AsyncDisposable & {
  readonly pools: Pools;
  readonly image: string;
  readonly mountPoint: string;
  write(name: string, text: string): void;
  read(name: string): string;
  /** How large the file system at the mount point is, in bytes; undefined where none is mounted. */
  mountedBytes(): Promise<number | undefined>;
  /** How many mounts there are at the mount point. */
  mountCount(): Promise<number>;
  imageExists(): boolean;
  /** As after a restart of the node: nothing is mounted or attached. */
  reboot(): Promise<void>;
};

const MIB = 1024 * 1024;
const SIZE = SMALLEST_POOL_BYTES + 20 * MIB;
const NEVER_FREE = 2 ** 52;

export function poolsContract(name: string, open: () => Promise<PoolBench>): void {
  describe(`pools: ${name}`, () => {
    let bench: PoolBench;
    const request = (changes: Partial<PoolRequest> = {}): PoolRequest => ({
      image: bench.image,
      mountPoint: bench.mountPoint,
      bytes: SIZE,
      floorBytes: MIB,
      ...changes,
    });
    /** A file system keeps some of its bytes for itself. */
    const expectMounted = async (bytes: number) => {
      const mounted = (await bench.mountedBytes()) ?? 0;
      expect(mounted).toBeLessThanOrEqual(bytes);
      expect(mounted).toBeGreaterThan(bytes * 0.75);
    };

    beforeEach(async () => {
      bench = await open();
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    it("open() makes a pool of the size asked, and mounts it", async () => {
      const pool = await bench.pools.open(request());
      expect(pool).toEqual({
        mountPoint: bench.mountPoint,
        device: expect.stringMatching(/loop\d+$/),
        bytes: SIZE,
      });
      await expectMounted(SIZE);
    });

    it("open() again, and at once, is the same pool mounted once", async () => {
      const pools = await Promise.all([1, 2, 3].map(() => bench.pools.open(request())));
      expect(new Set(pools.map(({ device }) => device)).size).toBe(1);
      expect(await bench.mountCount()).toBe(1);
    });

    it("open() after a restart of the node mounts what is there", async () => {
      await bench.pools.open(request());
      bench.write("kept", "content");
      await bench.reboot();
      expect(await bench.mountedBytes()).toBeUndefined();
      await bench.pools.open(request());
      expect(bench.read("kept")).toBe("content");
      expect(await bench.mountCount()).toBe(1);
    });

    it("open() grows a pool that is mounted, and one that is not, without losing anything", async () => {
      await bench.pools.open(request());
      bench.write("kept", "content");
      expect(await bench.pools.open(request({ bytes: SIZE + 100 * MIB }))).toMatchObject({
        bytes: SIZE + 100 * MIB,
      });
      await expectMounted(SIZE + 100 * MIB);
      await bench.reboot();
      expect(await bench.pools.open(request({ bytes: SIZE + 200 * MIB }))).toMatchObject({
        bytes: SIZE + 200 * MIB,
      });
      await expectMounted(SIZE + 200 * MIB);
      expect(bench.read("kept")).toBe("content");
    });

    it("open() never shrinks a pool", async () => {
      await bench.pools.open(request({ bytes: SIZE + 100 * MIB }));
      expect(await bench.pools.open(request())).toMatchObject({ bytes: SIZE + 100 * MIB });
      await expectMounted(SIZE + 100 * MIB);
    });

    it("open() refuses as full what would leave less than the floor, and leaves nothing", async () => {
      const refused = bench.pools.open(request({ floorBytes: NEVER_FREE }));
      await expect(refused).rejects.toEqual(expect.toSatisfy((error) => isFailure(error, "full")));
      expect(bench.imageExists()).toBe(false);
      expect(await bench.mountCount()).toBe(0);
      expect(await bench.pools.open(request())).toMatchObject({ bytes: SIZE });
    });

    it("open() keeps a pool as it is when there is no room to grow, and says why", async () => {
      await bench.pools.open(request());
      const pool = await bench.pools.open(request({ bytes: SIZE * 2, floorBytes: NEVER_FREE }));
      expect(pool).toMatchObject({
        bytes: SIZE,
        shortfall: expect.stringContaining(`${NEVER_FREE} must stay free`),
      });
      await expectMounted(SIZE);
    });

    it("open() refuses as invalid what is too small for a file system", async () => {
      for (const bytes of [0, -1, SMALLEST_POOL_BYTES - 1, Number.NaN]) {
        const refused = bench.pools.open(request({ bytes }));
        await expect(refused).rejects.toEqual(expect.toSatisfy((error) => isFailure(error, "invalid")));
      }
      expect(bench.imageExists()).toBe(false);
    });
  });
}
