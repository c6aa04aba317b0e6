// What this node last knew of the heads of Caches, for when their registry cannot be asked.
import { createHash } from "node:crypto";
import path from "node:path";
import type { Version } from "../core/cache-key.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { type Fields, parseFields } from "../core/fields.ts";
import type { Files } from "../host/files.ts";
import type { Turns } from "../trees/turns.ts";

export type KnownHead = { readonly digest: Digest; readonly bytes: number; readonly version?: Version };

type Deps = { readonly files: Files; readonly root: string };

/** One at a time, so that nobody writes over what another wrote meanwhile. */
export type HeadTurns = { readonly headTurns: Turns };

/** Undefined where there is none that can be read. */
export async function readKnownHead(
  { files, root }: Deps,
  cache: ClaimCache,
): Promise<KnownHead | undefined> {
  return await readAt(files, placeOf(root, cache));
}

async function readAt(files: Files, at: string): Promise<KnownHead | undefined> {
  try {
    return parse(await files.read(at));
  } catch (error) {
    if (isFailure(error, "not-found") || isFailure(error, "corrupt")) return undefined;
    throw error;
  }
}

/** Lets go of heads of which nothing is here: nobody could start from them while their registry is away. */
export async function forgetKnownHeads({ files, root }: Deps, here: ReadonlySet<Digest>): Promise<void> {
  const directory = path.join(root, "heads");
  await files.makeDirectory(directory);
  for (const { name } of await files.list(directory)) {
    const at = path.join(directory, name);
    const known = await readAt(files, at);
    if (known === undefined || !here.has(known.digest)) await files.removeFile(at);
  }
}

/** Durable when it resolves, unless what is known by then is not to make way. */
export async function writeKnownHead(
  { files, root, headTurns }: Deps & HeadTurns,
  cache: ClaimCache,
  head: KnownHead,
  makesWay: (known: KnownHead | undefined) => boolean = () => true,
): Promise<void> {
  const at = placeOf(root, cache);
  using _turn = await headTurns.take();
  if (!makesWay(await readAt(files, at))) return;
  const text = `${JSON.stringify(head)}\n`;
  await files.makeDirectory(path.dirname(at));
  await files.writeAtomically(at, new TextEncoder().encode(text), { durable: true });
}

function placeOf(root: string, { host, repository, key }: ClaimCache): string {
  const words = JSON.stringify([host, repository, key]);
  return path.join(root, "heads", createHash("sha256").update(words).digest("hex"));
}

function parse(bytes: Uint8Array): KnownHead {
  const fields = parseFields(
    bytes,
    (why) => new Failure("corrupt", `Cannot read what was known of a key: ${why}; it is asked for again`),
  );
  const version = fields.optionalObject("version");
  return {
    digest: fields.digest("digest"),
    bytes: fields.count("bytes"),
    ...(version === undefined ? {} : { version: toVersion(version) }),
  };
}

const toVersion = (fields: Fields): Version => ({ timeMs: fields.count("timeMs"), id: fields.text("id") });
