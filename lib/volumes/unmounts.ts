// Unmounts that outlive their call: the next call joins them, and nothing else is done with the volume meanwhile.
import { Failure } from "../core/failure.ts";
import type { Mounts } from "../host/mounts.ts";

export class Unmounts {
  readonly #mounts: Mounts;
  readonly #running = new Map<string, Promise<boolean>>();

  constructor(mounts: Mounts) {
    this.#mounts = mounts;
  }

  /** Throws `busy` while the volume is being unmounted. */
  refuse(volumeId: string): void {
    if (!this.#running.has(volumeId)) return;
    throw new Failure("busy", `Cannot use the volume "${volumeId}": it is being unmounted; try again`);
  }

  /**
   * Resolves when the unmount that is running for the volume has ended, however; undefined where none is. The kernel
   * takes a mount out of its table first and syncs what pods wrote then, so that the table does not tell.
   */
  ended(volumeId: string): Promise<void> | undefined {
    return this.#running.get(volumeId)?.then(
      () => undefined,
      () => undefined,
    );
  }

  /** The unmount of the topmost mount at the path, begun now or before; whether there was one. */
  async join(volumeId: string, path: string): Promise<boolean> {
    const running = this.#running.get(volumeId) ?? this.#begin(volumeId, path);
    return await running;
  }

  #begin(volumeId: string, path: string): Promise<boolean> {
    const unmount = this.#mounts.unmount(path).finally(() => this.#running.delete(volumeId));
    // Who began it may have gone.
    unmount.catch(() => undefined);
    this.#running.set(volumeId, unmount);
    return unmount;
  }
}
