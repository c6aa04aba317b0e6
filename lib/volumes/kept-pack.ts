// What was packed of a claim waits beside it until the registry has it: the next try takes it up, after a restart too.
import path from "node:path";
import type { PackedDelta } from "../archive/pack-delta.ts";
import type { PackedPart } from "../archive/packed-part.ts";
import { countTrims } from "../archive/trim-journal.ts";
import { isWholePart } from "../archive/whole-part.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { type Fields, parseFields } from "../core/fields.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { packedOf } from "./trim-claim.ts";

/** A change of its base, or all that it shows. */
export type KeptPack = Pick<PackedDelta, "parts" | "bytes"> &
  (
    | { readonly kind: "whole" }
    /** `trims`: how many steps its journal still has for the Layer. */
    | ({ readonly kind: "delta" } & Pick<PackedDelta, "trims" | "kept" | "replaced">)
  );

export type KeepDeps = Pick<ClaimDeps, "files" | "root">;

/** Of another version of this file nothing is taken up. */
const VERSION = 1;
const NAME = "packed.json";

/** Not durable, since it is taken up only where all of its bytes still hold. */
export async function keepPack(
  { files, root }: KeepDeps,
  record: ClaimRecord,
  pack: KeptPack,
): Promise<void> {
  const parts = pack.parts.map((part) => ({ ...part, path: path.basename(part.path) }));
  const text = JSON.stringify({ version: VERSION, commit: record.commit, ...pack, parts });
  const at = path.join(packedOf(root, record), NAME);
  await files.writeAtomically(at, new TextEncoder().encode(`${text}\n`), { durable: false });
}

/** Undefined where this commit was not packed, or where not all of that is there as it was: then it is packed again. */
export async function takeUpPack(deps: KeepDeps, record: ClaimRecord): Promise<KeptPack | undefined> {
  const pack = await read(deps, record);
  for (const part of pack?.parts ?? []) if (!(await isWholePart(part))) return undefined;
  if (pack?.kind === "delta" && pack.trims > 0) {
    // Half a journal would make of the Layer what nobody packed.
    if ((await countTrims(packedOf(deps.root, record))) !== pack.trims) return undefined;
  }
  return pack;
}

/** What its archives take on the disk while they wait. */
export async function keptBytes(deps: KeepDeps, record: ClaimRecord): Promise<number> {
  const pack = await read(deps, record);
  return pack?.parts.reduce((sum, { size }) => sum + size, 0) ?? 0;
}

async function read({ files, root }: KeepDeps, record: ClaimRecord): Promise<KeptPack | undefined> {
  const directory = packedOf(root, record);
  try {
    const fields = parseFields(await files.read(path.join(directory, NAME)), refuse);
    const commit = fields.object("commit");
    const isThis =
      fields.count("version") === VERSION &&
      commit.digest("layer") === record.commit?.layer &&
      commit.count("timeMs") === record.commit.timeMs;
    return isThis ? toPack(fields, directory) : undefined;
  } catch (error) {
    if (isFailure(error, "not-found") || isFailure(error, "corrupt")) return undefined;
    throw error;
  }
}

const refuse = (why: string) =>
  new Failure("corrupt", `Cannot take up what was packed: ${why}; it is packed again`);

function toPack(fields: Fields, directory: string): KeptPack {
  const parts = fields.objects("parts").map((part) => toPart(part, directory));
  const bytes = fields.count("bytes");
  const kind = fields.choice("kind", ["delta", "whole"]);
  if (kind === "whole") return { kind, parts, bytes };
  const kept = fields.object("kept");
  const weight = { bytes: kept.count("bytes"), inodes: kept.count("inodes") };
  const [trims, replaced] = [fields.count("trims"), fields.count("replaced")];
  return { kind, parts, bytes, trims, replaced, kept: weight };
}

const toPart = (fields: Fields, directory: string): PackedPart => ({
  path: path.join(directory, path.basename(fields.text("path"))),
  digest: fields.digest("digest"),
  size: fields.count("size"),
  diffId: fields.digest("diffId"),
  diffSize: fields.count("diffSize"),
});
