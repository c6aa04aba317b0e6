// The Records of the claims on this node: in memory while the plugin runs, durable files for everything after.
import path from "node:path";
import { type ClaimRecord, formatClaimRecord, parseClaimRecord, rootsOfClaim } from "../core/claim-record.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { formatBytes } from "../core/quantity.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";
import type { Trees } from "../trees/trees.ts";

/** What keeps what a Record names from collection. */
export type Holder = Pick<Trees, "hold" | "letGo">;

/** Frees so much, or what there is; resolves to how much that was. */
type Collect = (bytes: number) => Promise<number>;

/** For a Record, and for what its claim needs next. */
const ROOM_BYTES = 16 * 2 ** 20;

export class ClaimRecords {
  readonly #files: Files;
  readonly #directory: string;
  readonly #records = new Map<string, ClaimRecord>();
  #holder: Holder | undefined;
  #collect: Collect | undefined;
  /** Volume ids whose Record could not be read: nothing of theirs is touched. */
  readonly unreadable: string[] = [];

  private constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  static async open(files: Files, root: string, log: Log): Promise<ClaimRecords> {
    const claims = new ClaimRecords(files, path.join(root, "claims"));
    await files.makeDirectory(claims.#directory);
    await files.removeLeftovers(claims.#directory);
    for (const { name } of await files.list(claims.#directory)) await claims.#read(name, log);
    return claims;
  }

  get all(): ReadonlyMap<string, ClaimRecord> {
    return this.#records;
  }

  find(volumeId: string): ClaimRecord | undefined {
    return this.#records.get(volumeId);
  }

  /** Throws `not-found`, and what refuseUnreadable() throws. */
  require(volumeId: string): ClaimRecord {
    const record = this.#records.get(volumeId);
    if (record !== undefined) return record;
    this.refuseUnreadable(volumeId);
    throw new Failure("not-found", `Cannot find the volume "${volumeId}": no claim on this node has that id`);
  }

  /** Throws `unavailable` for a claim that is here while nobody knows what it is: it is neither gone nor to be made anew. */
  refuseUnreadable(volumeId: string): void {
    if (!this.unreadable.includes(volumeId)) return;
    const file = path.join(this.#directory, volumeId);
    throw new Failure(
      "unavailable",
      `Cannot use the volume "${volumeId}": its record "${file}" cannot be read; run the release that wrote it, or remove that file to let go of all the claim holds`,
    );
  }

  /** From now on what the Records name is held by it, too. */
  holdBy(holder: Holder): void {
    this.#holder = holder;
    for (const record of this.#records.values()) holder.hold(record.volumeId, rootsOfClaim(record));
  }

  /** From now on room is made by it for a Record that finds none. */
  roomBy(collect: Collect): void {
    this.#collect = collect;
  }

  /** The Record survives a power loss when it resolves. Throws `full` where nothing that could go would make room for it. */
  async write(record: ClaimRecord): Promise<void> {
    this.#holder?.hold(record.volumeId, rootsOfClaim(record));
    const file = path.join(this.#directory, record.volumeId);
    const write = async () =>
      await this.#files.writeAtomically(file, formatClaimRecord(record), { durable: true });
    try {
      await write();
    } catch (error) {
      if (!isFailure(error, "full") || this.#collect === undefined) throw error;
      await this.#collect(ROOM_BYTES);
      await write().catch(async (again: unknown) => {
        throw isFailure(again, "full") ? await this.#full(record, again) : again;
      });
    }
    this.#records.set(record.volumeId, record);
  }

  async #full({ volumeId }: ClaimRecord, cause: Failure): Promise<Failure> {
    const { bytesFree, bytesTotal } = await this.#files.statFilesystem(this.#directory);
    const sizes = `${formatBytes(bytesFree)} of ${formatBytes(bytesTotal)} are free on the disk of this node`;
    return new Failure(
      "full",
      `Cannot record the volume "${volumeId}": ${sizes}, and nothing is left that could be collected. All of it is kept; free room there, or delete other claims, first those with the policy "discard", which need none`,
      { cause },
    );
  }

  /** There is no such Record when it resolves, nor after a power loss. */
  async remove(volumeId: string): Promise<void> {
    await this.#files.removeFile(path.join(this.#directory, volumeId));
    await this.#files.syncDirectory(this.#directory);
    this.#records.delete(volumeId);
    this.#holder?.letGo(volumeId);
  }

  async #read(name: string, log: Log): Promise<void> {
    try {
      const record = parseClaimRecord(await this.#files.read(path.join(this.#directory, name)), name);
      if (record.volumeId !== name) throw misnamed(name, record);
      this.#records.set(name, record);
    } catch (error) {
      if (!isFailure(error)) throw error;
      log.error("Cannot read a claim's record; what it describes is left as it is", { error });
      this.unreadable.push(name);
    }
  }
}

const misnamed = (name: string, { volumeId }: ClaimRecord) =>
  new Failure("corrupt", `Cannot read the record "${name}": it is that of "${volumeId}"; remove it`);
