// The Records of this node: in memory while the plugin runs, a small file each for when it does not.
import path from "node:path";
import { isFailure } from "../core/failure.ts";
import { formatRecord, type InlineRecord, parseRecord, recordName } from "../core/record.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";

export class Records {
  readonly #files: Files;
  readonly #directory: string;
  readonly #records = new Map<string, InlineRecord>();
  /** Files that could not be read: somebody's, so nothing of theirs is touched. */
  readonly unreadable: string[] = [];

  private constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  static async open(files: Files, root: string, log: Log): Promise<Records> {
    const records = new Records(files, path.join(root, "records"));
    await files.makeDirectory(records.#directory);
    await files.removeLeftovers(records.#directory);
    for (const { name } of await files.list(records.#directory)) await records.#read(name, log);
    return records;
  }

  get all(): ReadonlyMap<string, InlineRecord> {
    return this.#records;
  }

  /** Every Record of that volume id, one a target. */
  of(volumeId: string): readonly InlineRecord[] {
    return [...this.#records.values()].filter((record) => record.volumeId === volumeId);
  }

  at(volumeId: string, target: string): InlineRecord | undefined {
    return this.#records.get(recordName(volumeId, target));
  }

  /** What those that are written to may hold. */
  scratches(): ReadonlyArray<NonNullable<InlineRecord["scratch"]>> {
    return [...this.#records.values()].flatMap(({ scratch }) => scratch ?? []);
  }

  /** The Record is there when it resolves. Not synced: a reboot takes an inline volume's mount as well. */
  async write(record: InlineRecord): Promise<void> {
    const name = recordName(record.volumeId, record.target);
    await this.#files.writeAtomically(path.join(this.#directory, name), formatRecord(record), {
      durable: false,
    });
    this.#records.set(name, record);
  }

  /** There is no such Record when it resolves. */
  async remove(name: string): Promise<void> {
    await this.#files.removeFile(path.join(this.#directory, name));
    this.#records.delete(name);
  }

  async #read(name: string, log: Log): Promise<void> {
    try {
      const bytes = await this.#files.read(path.join(this.#directory, name));
      // Never synced when the power went: of the bytes only their absence reached the disk. Durable ones are never so.
      if (bytes.every((byte) => byte === 0)) return await this.remove(name);
      this.#records.set(name, parseRecord(bytes, name));
    } catch (error) {
      if (!isFailure(error)) throw error;
      log.error("Cannot read a record; what it describes is left as it is", { error });
      this.unreadable.push(name);
    }
  }
}
