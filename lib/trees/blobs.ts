// Brings blobs to this node: downloaded once, read while they arrive, kept until everybody who wants them has them.

import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Feed, Unpacked, Unpacker } from "../archive/unpacker.ts";
import type { Access } from "../core/access.ts";
import { isFailure } from "../core/failure.ts";
import type { LayerPlan } from "../core/layer-plan.ts";
import type { Reader } from "../registry/reader.ts";
import type { Budget, Reservation } from "./budget.ts";
import { type Claim, Claims } from "./claims.ts";
import { toDiskFailure } from "./disk-failure.ts";
import { download, keepsAfter } from "./download.ts";
import type { StoredBlob } from "./layer.ts";
import { Lending } from "./lending.ts";
import type { Partial } from "./partial.ts";
import { Partials, type PartialsDeps, type Place } from "./partials.ts";
import { registryOf } from "./permission.ts";
import type { Stamped } from "./place-file.ts";
import type { Turns } from "./turns.ts";

export type BlobsDeps = PartialsDeps & {
  readonly reader: Reader;
  readonly unpacker: Unpacker;
  readonly budget: Budget;
  readonly turns: Turns;
  readonly discard: (at: string) => Promise<void>;
  readonly onStep: (step: string) => Promise<void>;
};

/** On whose behalf blobs are fetched; `as` tells one asker's refusals from another's. */
export type Asker = { readonly access: Access; readonly as: string };

/** A blob that is here: the partial that holds it, and for an archive the directory it was unpacked to. */
export type Arrived = {
  readonly partial: Partial;
  readonly unpacked?: Unpacked & { readonly directory: string };
  /** Where its bytes are by now: first its own file, once that has been given a mode and a time. */
  readonly placed: Stamped[];
  /** Whether it has become part of a Layer; if not, its bytes stay for the next try. */
  used: boolean;
  /** Gives up the partial, to rest where it is to be kept, and the room that was reserved. */
  readonly letGo: (keep: boolean) => Promise<void>;
};

type ArchivePlan = Exclude<LayerPlan, { kind: "files" }>;
type Reading = (feed: Feed, signal: AbortSignal, on: Arriving) => Promise<Arrived["unpacked"]>;
type Arriving = {
  readonly partial: Partial;
  readonly reservation: Reservation;
  readonly arrived: Promise<void>;
};
type Wanted = {
  readonly blob: StoredBlob;
  readonly use: string;
  readonly hashes?: boolean;
  readonly upstreamOnly?: boolean;
};

export class Blobs {
  readonly #deps: BlobsDeps;
  readonly #claims: Claims<Arrived>;
  readonly #arriving = new Map<string, Partial>();
  readonly #partials: Partials;
  readonly #lending: Lending<Arrived>;

  constructor(deps: BlobsDeps) {
    this.#deps = deps;
    this.#partials = new Partials(deps);
    this.#claims = new Claims((arrived) => this.#clear(arrived));
    this.#lending = new Lending(this.#claims, deps.onStep);
  }

  /** How much of the blob is here while it is being brought, and from whom; undefined when it is not. */
  arriving(registry: string, digest: string): Pick<Partial, "written" | "sources"> | undefined {
    return this.#arriving.get(`${registry} ${digest}`);
  }

  /** The blob as one checked file. `upstreamOnly`: brought by the registry itself, so that it counts as its proof. */
  async raw(
    asker: Asker,
    blob: StoredBlob,
    options: { readonly upstreamOnly?: boolean } = {},
  ): Promise<Claim<Arrived>> {
    const use = options.upstreamOnly === true ? "proof" : "raw";
    return await this.#claim(
      asker,
      { blob, use, hashes: true, ...options },
      async (feed, signal, { partial, arrived }) => {
        if (partial.hashes) await arrived;
        // Whatever was not hashed in passing, or came out wrong, is read for it, and told about.
        if (partial.digest !== feed.digest) await this.#deps.unpacker.verify(feed, signal);
        return undefined;
      },
    );
  }

  /** The blob unpacked into a directory of its own, as it is before it settles. */
  async unpacked(asker: Asker, plan: ArchivePlan): Promise<Claim<Arrived>> {
    const { kind, blob, compression, diffId, keepSetuid } = plan;
    const root = plan.kind === "archive" ? plan.root : "";
    const use = JSON.stringify([kind, compression, diffId, root, keepSetuid]);
    const directory = path.join(this.#deps.layout.ingest, randomUUID());
    return await this.#claim(asker, { blob, use }, async (feed, signal, { reservation }) => {
      // A second try, after a mirror's bytes were wrong, must not find what the first one wrote.
      await this.#deps.discard(directory);
      await mkdir(path.join(directory, "fs"), { recursive: true, mode: 0o755 });
      const job = { feed, compression, directory: path.join(directory, "fs"), kind, root, keepSetuid };
      const room = (bytes: number) => reservation.grow(bytes);
      try {
        return Object.assign(
          await this.#deps.unpacker.unpack(
            { ...job, ...(diffId === undefined ? {} : { diffId }) },
            { signal, room },
          ),
          { directory },
        );
      } catch (error) {
        await this.#deps.discard(directory);
        throw error;
      }
    });
  }

  async landed(): Promise<void> {
    await this.#claims.landed();
  }

  async #claim(asker: Asker, wanted: Wanted, read: Reading): Promise<Claim<Arrived>> {
    const blob = `${registryOf(asker.access)} ${wanted.blob.digest}`;
    const key = `${blob} ${wanted.use}`;
    const { access, as } = asker;
    const fly = () => this.#fly(access, wanted, read);
    const ways = { fly, read: (lent: Claim<Arrived>) => this.#readLent(lent, access, read) };
    // What the registry itself must send for a proof is asked of it alone.
    const bring = wanted.upstreamOnly === true ? fly : () => this.#lending.bring(blob, key, ways);
    return await this.#claims.claim(key, as, bring);
  }

  /** What another use of the blob has brought, read for this one too. */
  async #readLent(lent: Claim<Arrived>, access: Access, read: Reading): Promise<Arrived> {
    const { partial, placed } = lent.value;
    const what = whatOf(access, partial.feed);
    const open = new DisposableStack();
    const letGo = async (keep: boolean) => {
      open.dispose();
      lent.value.used ||= !keep;
      await lent[Symbol.asyncDispose]();
    };
    try {
      using _turn = await this.#deps.turns.take();
      this.#deps.closing.throwIfAborted();
      const reservation = open.use(await this.#deps.budget.reserve(0, what));
      const on = { partial, reservation, arrived: Promise.resolve() };
      const unpacked = await read(partial.feed, this.#deps.closing, on);
      return { partial, placed, used: false, letGo, ...(unpacked === undefined ? {} : { unpacked }) };
    } catch (error) {
      await letGo(true);
      throw toDiskFailure(error, what);
    }
  }

  async #fly(access: Access, wanted: Wanted, read: Reading): Promise<Arrived> {
    using _turn = await this.#deps.turns.take();
    this.#deps.closing.throwIfAborted();
    const what = whatOf(access, wanted.blob);
    const place = this.#partials.take(access, wanted);
    const reservation = await this.#reserve(place, wanted.blob.size, what);
    try {
      return await this.#bring(access, wanted, { read, reservation, place });
    } catch (error) {
      reservation[Symbol.dispose]();
      throw toDiskFailure(error, what);
    }
  }

  /** What rests of it is taken up before, so that it neither counts twice nor is collected for the room of its rest. */
  async #reserve(place: Place, bytes: number, what: string): Promise<Reservation> {
    try {
      return await this.#deps.budget.reserve(bytes, what, place.resting?.bytes);
    } catch (error) {
      this.#partials.giveBack(place);
      throw error;
    }
  }

  async #bring(
    access: Access,
    wanted: Wanted,
    how: { readonly read: Reading; readonly reservation: Reservation; readonly place: Place },
  ): Promise<Arrived> {
    const partial = await this.#partials.open(how.place, wanted);
    how.reservation.follow(() => partial.written);
    const key = `${registryOf(access)} ${wanted.blob.digest}`;
    this.#arriving.set(key, partial);
    const { digest, size } = wanted.blob;
    const blob = { digest, size, ...(wanted.upstreamOnly === true ? { upstreamOnly: true } : {}) };
    const { reservation } = how;
    const read = (feed: Feed, signal: AbortSignal, arrived: Promise<void>) =>
      how.read(feed, signal, { partial, arrived, reservation });
    try {
      const { reader, closing } = this.#deps;
      const unpacked = await download({ reader, access, blob, partial, read }, closing);
      await partial.close();
      const letGo = async (keep: boolean) => {
        using _room = reservation;
        await this.#partials.end(partial, keep);
      };
      return { partial, placed: [], used: false, letGo, ...(unpacked === undefined ? {} : { unpacked }) };
    } catch (error) {
      const isWrong = isFailure(error, "corrupt");
      const isMisled = isWrong && partial.sources.some(({ kind }) => kind === "mirror");
      await this.#partials.end(partial, keepsAfter(error));
      const again = () => ({ ...how, place: this.#partials.take(access, wanted) });
      // The disk may have lost what was there before: nothing of it is left now.
      if (isWrong && partial.isResumed) return await this.#bring(access, wanted, again());
      if (!isMisled || wanted.upstreamOnly === true) throw error;
      return await this.#bring(access, { ...wanted, upstreamOnly: true }, again());
    } finally {
      this.#arriving.delete(key);
    }
  }

  async #clear({ unpacked, used, letGo }: Arrived): Promise<void> {
    await using _end = { [Symbol.asyncDispose]: () => letGo(!used) };
    if (unpacked !== undefined) await this.#deps.discard(unpacked.directory);
  }
}

function whatOf({ host, repository }: Access, { digest }: Pick<StoredBlob, "digest">): string {
  return `the blob ${digest} of ${host}/${repository}`;
}
