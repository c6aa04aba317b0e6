// Files as block devices: what lets an image file carry a file system.

export type LoopDevice = {
  /** Such as `/dev/loop3`. */
  readonly path: string;
  /** major:minor, as the mount table has it. */
  readonly device: string;
  readonly bytes: number;
  /** Past the cache of the file system beneath, so that nothing is cached twice. */
  readonly directIo: boolean;
};

/** A device that stays attached at least until it is disposed of. */
export type HeldLoopDevice = LoopDevice & Disposable;

/**
 * An image is known by its inode, whatever path leads to it, and has one device at most. The kernel lets go of a
 * device by itself, a moment after it was last open or mounted.
 * Failures: not-found, conflict (no file; or attached by others, in part or read-only), unsupported (the node has no
 * loop devices), unavailable.
 */
export interface LoopDevices {
  /** The device that the kernel says the image has, if any. */
  find(image: string): Promise<LoopDevice | undefined>;
  /** The device the image has already, or else a new one, with direct I/O where the file system beneath can. */
  attach(image: string): Promise<HeldLoopDevice>;
  /** Makes the device of an attached image as large as the image is now; `not-found` when it is not attached. */
  grow(image: string): Promise<LoopDevice>;
}
