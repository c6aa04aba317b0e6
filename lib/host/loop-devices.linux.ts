// Loop devices of the kernel, which keeps the only list of them that counts.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from "node:fs";
import path from "node:path";
import { Failure } from "../core/failure.ts";
import { encodePath } from "../core/path-bytes.ts";
import { errorCode, failureOf } from "./errno.ts";
import {
  adoptImageSize,
  configureLoop,
  freeLoopNumber,
  makeNode,
  readLoopStatus,
  stopDirectIo,
} from "./loop-calls.ts";
import type { HeldLoopDevice, LoopDevice, LoopDevices } from "./loop-devices.ts";

const SECTOR_BYTES = 512;
/** How often another process may be quicker to take the device that was free. */
const ATTEMPTS = 30;

type OpenDevice = { readonly name: string; readonly fd: number };

/**
 * Looking and attaching happen without a pause in between, so that no two callers of this process attach twice; other
 * processes are kept away by the lock on the root. The calls wait for the disk: attach at start, before anybody waits.
 */
export class LinuxLoopDevices implements LoopDevices {
  readonly #folder: string;

  /** The folder of the devices' nodes. In a container it may lack those made after its start: they are made there. */
  constructor(folder = "/dev") {
    this.#folder = folder;
  }

  async find(image: string): Promise<LoopDevice | undefined> {
    return this.#onImage(`Cannot look for the device of "${image}"`, image, (fd) => {
      const found = this.#findOpen(image, fd);
      if (found === undefined) return undefined;
      closeSync(found.fd);
      return this.#describe(found.name);
    });
  }

  async attach(image: string): Promise<HeldLoopDevice> {
    return this.#onImage(`Cannot attach "${image}" to a loop device`, image, (fd) => {
      const { name, fd: held } = this.#findOpen(image, fd) ?? this.#attachNew(fd);
      return { ...this.#describe(name), [Symbol.dispose]: closeOnce(held) };
    });
  }

  async grow(image: string): Promise<LoopDevice> {
    const attempt = `Cannot grow the device of "${image}"`;
    return this.#onImage(attempt, image, (fd) => {
      const found = this.#findOpen(image, fd);
      if (found === undefined) throw new Failure("not-found", `${attempt}: it has none; attach it first`);
      try {
        adoptImageSize(found.fd);
        return this.#describe(found.name);
      } finally {
        closeSync(found.fd);
      }
    });
  }

  #findOpen(image: string, file: number): OpenDevice | undefined {
    const { dev, ino } = fstatSync(file, { bigint: true });
    for (const name of attachedNames()) {
      const status = this.#tryStatus(name);
      if (status === undefined) continue;
      const { fileSystem, inode, offset, sizeLimit, readOnly, fd } = status;
      if (fileSystem !== dev || inode !== ino) {
        closeSync(fd);
        continue;
      }
      if (offset === 0n && sizeLimit === 0n && !readOnly) return { name, fd };
      closeSync(fd);
      throw new Failure(
        "conflict",
        `Cannot use "${image}": ${name} shows it ${readOnly ? "read-only" : "in part"}; detach that with losetup -d /dev/${name}`,
      );
    }
    return undefined;
  }

  /** Undefined for a device that its last user has just let go of. */
  #tryStatus(name: string) {
    let fd: number | undefined;
    try {
      fd = this.#open(name, constants.O_RDONLY);
      return { fd, ...readLoopStatus(fd) };
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (["ENXIO", "ENODEV", "ENOENT"].includes(errorCode(error) ?? "")) return undefined;
      throw error;
    }
  }

  #attachNew(image: number): OpenDevice {
    const control = this.#openControl();
    try {
      for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
        const device = this.#tryAttach(control, image);
        if (device !== undefined) return device;
      }
    } finally {
      closeSync(control);
    }
    throw new Failure(
      "unavailable",
      "Cannot attach a loop device: others took each that was free; try again",
    );
  }

  /** Undefined when another process was quicker to take the free one. */
  #tryAttach(control: number, image: number): OpenDevice | undefined {
    const name = `loop${freeLoopNumber(control)}`;
    const fd = this.#open(name, constants.O_RDWR);
    try {
      configure(fd, image);
      return { name, fd };
    } catch (error) {
      closeSync(fd);
      if (errorCode(error) !== "EBUSY") throw error;
      return undefined;
    }
  }

  #open(name: string, flags: number): number {
    const node = path.join(this.#folder, name);
    if (!existsSync(node)) makeNode(node, "block", readText(`/sys/block/${name}/dev`));
    return openSync(node, flags);
  }

  /** Opening its node loads the module where it is not loaded. */
  #openControl(): number {
    const node = path.join(this.#folder, "loop-control");
    if (!existsSync(node)) makeNode(node, "character", "10:237");
    return openSync(node, constants.O_RDWR);
  }

  #describe(name: string): LoopDevice {
    return {
      path: path.join(this.#folder, name),
      device: readText(`/sys/block/${name}/dev`),
      bytes: Number(readText(`/sys/block/${name}/size`)) * SECTOR_BYTES,
      directIo: readText(`/sys/block/${name}/loop/dio`) === "1",
    };
  }

  #onImage<T>(attempt: string, image: string, act: (fd: number) => T): T {
    let fd: number | undefined;
    try {
      // Non-blocking, since opening a fifo would wait for its reader.
      fd = openSync(
        Buffer.from(encodePath(image)),
        constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
      if (!fstatSync(fd).isFile()) throw new Failure("conflict", `${attempt}: it is not a file`);
      return act(fd);
    } catch (error) {
      throw loopFailure(error, attempt);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

function configure(device: number, image: number): void {
  try {
    configureLoop(device, image, { directIo: true });
  } catch (error) {
    if (errorCode(error) !== "EINVAL") throw error;
    return configureLoop(device, image, { directIo: false });
  }
  // Some file systems agree to direct I/O and then fail at each read and write: overlayfs over tmpfs does.
  if (!canRead(device)) stopDirectIo(device);
}

function canRead(device: number): boolean {
  try {
    readSync(device, Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, 0);
    return true;
  } catch {
    return false;
  }
}

function attachedNames(): string[] {
  return readdirSync("/sys/block").filter(
    (name) => /^loop\d+$/.test(name) && existsSync(`/sys/block/${name}/loop/backing_file`),
  );
}

function loopFailure(error: unknown, attempt: string): unknown {
  if (error instanceof Failure) return error;
  if (["ENXIO", "ENODEV", "ENOTTY"].includes(errorCode(error) ?? ""))
    return new Failure("unsupported", `${attempt}: the node has no loop devices; load the module "loop"`, {
      cause: error,
    });
  return failureOf(error, attempt);
}

function closeOnce(fd: number): () => void {
  let open = true;
  return () => {
    if (open) closeSync(fd);
    open = false;
  };
}

function readText(file: string): string {
  return readFileSync(file, "utf8").trim();
}
