// What runs leave behind. Many files are not removed between two measurements: where an ext4 has no journal, it looks past
// every inode that was removed in the last minute whenever it makes a new one, and a run that follows takes several times as long.
import { readdir } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { clear, unmountIn } from "./clear.ts";
import { say } from "./voice.ts";

const FEW_FILES = 2_000;
const MOST_BYTES = 20 * 2 ** 30;
const REST_MS = 70_000;

export class Leftovers {
  #folders: string[] = [];
  #bytes = 0;

  /** At once where it has few files; else with others, when they are too much, and the disk then rests. */
  async drop(folder: string): Promise<void> {
    await unmountIn(folder);
    if ((await readdir(folder, { recursive: true })).length < FEW_FILES) {
      await clear(folder);
      return;
    }
    this.#folders.push(folder);
    this.#bytes += await bytesIn(folder);
    if (this.#bytes < MOST_BYTES) return;
    say("  removing what the runs left, and letting the disk rest");
    for (const left of this.#folders.splice(0)) await clear(left);
    this.#bytes = 0;
    await execa("sync");
    await pause(REST_MS);
  }
}

async function bytesIn(folder: string): Promise<number> {
  const { stdout } = await execa("du", ["--summarize", "--block-size=1", folder]);
  return Number.parseInt(stdout, 10);
}
