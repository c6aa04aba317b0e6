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
