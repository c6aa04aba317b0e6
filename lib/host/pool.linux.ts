// The pool on this node: image, loop device and mount, each looked for before it is made.
import { closeSync, constants, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import path from "node:path";
import { Failure, isFailure } from "../core/failure.ts";
import { encodePath } from "../core/path-bytes.ts";
import { errorCode, failureOf } from "./errno.ts";
import { checked, cpath, libcFunction } from "./libc.ts";
import type { HeldLoopDevice, LoopDevices } from "./loop-devices.ts";
import type { Mounts } from "./mounts.ts";
import { type OpenPool, type PoolRequest, type PoolStep, type Pools, SMALLEST_POOL_BYTES } from "./pool.ts";
import { ensureImage, fillImage } from "./pool-image.ts";
import type { Processes } from "./processes.ts";
import { hasXfsQuota } from "./quotas.linux.ts";
import { type Quotas, quotaRemedies } from "./quotas.ts";
import { growToDevice } from "./xfs-calls.ts";

const mount = libcFunction(
  "int mount(const char *, const char *, const char *, unsigned long, const char *)",
);
const MS_NOSUID = 2;
const MS_NODEV = 4;

export type PoolDeps = {
  readonly loops: LoopDevices;
  readonly mounts: Mounts;
  readonly quotas: Quotas;
  readonly processes: Processes;
  /** Where the kernel tells of its XFS; `/proc/fs/xfs`. */
  readonly kernelFolder?: string;
  /** Whether the kernel has XFS, loaded now where it is a module. */
  readonly loadXfs?: () => boolean;
  /** Told after each step. */
  readonly onStep?: (step: PoolStep) => void;
};

export class LinuxPools implements Pools {
  readonly #deps: PoolDeps;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: PoolDeps) {
    this.#deps = deps;
  }

  /** One after the other, so that two callers do not make two pools. */
  open(request: PoolRequest): Promise<OpenPool> {
    const opened = this.#last.then(() => this.#open(request));
    this.#last = opened.catch(() => undefined); // Its own caller is told.
    return opened;
  }

  async #open(request: PoolRequest): Promise<OpenPool> {
    requireSize(request);
    this.#requireQuotaKernel(request.image);
    const made = await ensureImage(this.#deps.processes, request, this.#step);
    try {
      return await this.#bringUp(request);
    } catch (error) {
      // An image that was of no use from the first should not cost the node its bytes.
      if (made && isFailure(error)) rmSync(request.image, { force: true });
      throw error;
    }
  }

  async #bringUp(request: PoolRequest): Promise<OpenPool> {
    const { image, mountPoint } = request;
    const filled = fillImage(request);
    this.#step("filled");
    using device = await this.#deps.loops.attach(image);
    this.#step("attached");
    const { bytes } = await this.#deps.loops.grow(image);
    await this.#ensureMounted(device, request);
    this.#step("mounted");
    growMounted(mountPoint, bytes);
    this.#step("grown");
    return { mountPoint, device: device.path, ...filled };
  }

  async #ensureMounted(device: HeldLoopDevice, { image, mountPoint }: PoolRequest): Promise<void> {
    makeMountPoint(mountPoint);
    const top = (await this.#deps.mounts.at(mountPoint)).at(-1);
    if (top !== undefined && top.device !== device.device)
      throw new Failure(
        "conflict",
        `Cannot mount the pool "${image}" at "${mountPoint}": "${top.source}" is mounted there; unmount it`,
      );
    if (top === undefined) this.#mount(device, { image, mountPoint });
    const support = await this.#deps.quotas.readSupport(mountPoint);
    if (support.enforced) return;
    if (top === undefined) await this.#deps.mounts.unmount(mountPoint);
    // The options of whoever mounted a file system first hold for all its mounts.
    throw new Failure(
      "unsupported",
      `Cannot limit claims in the pool "${image}": ${support.condition}; unmount ${device.path} wherever it is mounted, or ${support.remedy}`,
    );
  }

  #mount(device: HeldLoopDevice, { image, mountPoint }: { image: string; mountPoint: string }): void {
    const attempt = `Cannot mount the pool "${image}" at "${mountPoint}"`;
    const target = cpath(encodePath(mountPoint));
    try {
      checked(
        "mount",
        mount(cpath(device.path), target, cpath("xfs"), MS_NOSUID | MS_NODEV, cpath("prjquota")),
      );
    } catch (error) {
      this.#requireQuotaKernel(image);
      throw mountFailure(error, attempt);
    }
  }

  /** Before the module of XFS is loaded, nothing is known. */
  #requireQuotaKernel(image: string): void {
    const folder = this.#deps.kernelFolder ?? "/proc/fs/xfs";
    const isKnown = () => existsSync(path.join(folder, "stat"));
    if (!isKnown() && !(this.#deps.loadXfs ?? loadXfs)()) {
      throw new Failure(
        "unsupported",
        `Cannot have a pool at "${image}": this kernel has no XFS; load the module "xfs"`,
      );
    }
    if (!isKnown() || hasXfsQuota(folder)) return;
    throw new Failure(
      "unsupported",
      `Cannot have a pool at "${image}": the kernel has no XFS quotas; ${quotaRemedies["the kernel has no XFS quotas"]}`,
    );
  }

  readonly #step = (step: PoolStep): void => this.#deps.onStep?.(step);
}

/** A mount of what is no device, which the kernel refuses once it has looked for the file system's module. */
function loadXfs(): boolean {
  try {
    checked("mount", mount(cpath("/dev/null"), cpath("/"), cpath("xfs"), 0, ""));
    return true;
  } catch (error) {
    return errorCode(error) !== "ENODEV";
  }
}

function requireSize({ image, bytes }: PoolRequest): void {
  if (Number.isSafeInteger(bytes) && bytes >= SMALLEST_POOL_BYTES) return;
  throw new Failure(
    "invalid",
    `Cannot make the pool "${image}" of ${bytes} bytes: set pool.size to ${SMALLEST_POOL_BYTES} at least`,
  );
}

function makeMountPoint(mountPoint: string): void {
  try {
    mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw failureOf(error, `Cannot make the mount point "${mountPoint}" of the pool`);
  }
}

function growMounted(mountPoint: string, bytes: number): void {
  const fd = openSync(mountPoint, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    growToDevice(fd, bytes);
  } catch (error) {
    throw failureOf(error, `Cannot grow the file system at "${mountPoint}" to ${bytes} bytes`);
  } finally {
    closeSync(fd);
  }
}

function mountFailure(error: unknown, attempt: string): unknown {
  switch (errorCode(error)) {
    case "ENODEV":
      return new Failure("unsupported", `${attempt}: this kernel has no XFS; load the module "xfs"`, {
        cause: error,
      });
    case "EUCLEAN":
    case "EBADMSG":
    case "EINVAL":
      return new Failure(
        "corrupt",
        `${attempt}: it is damaged, no XFS, or a copy of one that is mounted; the kernel's log says which (xfs_repair may help)`,
        { cause: error },
      );
    default:
      return failureOf(error, attempt);
  }
}
