// Unmounts that outlive their call: the next call joins them, and nothing else is done with the volume meanwhile.
import { Failure } from "../core/failure.ts";

export class Unmounts {
  readonly #running = new Map<string, Promise<void>>();

  /** Throws `busy` while the volume is being unmounted. */
  refuse(volumeId: string): void {
    if (!this.isRunning(volumeId)) return;
    throw new Failure("busy", `Cannot use the volume "${volumeId}": it is being unmounted; try again`);
  }

  /**
   * Whether the volume is being unmounted. The kernel takes a mount out of its table first and syncs what pods wrote
   * then, so that the table does not tell.
   */
  isRunning(volumeId: string): boolean {
    return this.#running.has(volumeId);
  }

  /** The unmount of the volume that is running, or `unmount` where none is; how it ends. */
  async join(volumeId: string, unmount: () => Promise<void>): Promise<void> {
    await (this.#running.get(volumeId) ?? this.#begin(volumeId, unmount));
  }

  #begin(volumeId: string, unmount: () => Promise<void>): Promise<void> {
    const running = unmount().finally(() => this.#running.delete(volumeId));
    // Who began it may have gone.
    running.catch(() => undefined);
    this.#running.set(volumeId, running);
    return running;
  }
}
