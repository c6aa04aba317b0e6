// Packs what a claim's pods changed: a delta over the base's image, or all that the claim shows as one new base.
import type { PackedDelta, Packed as PackedTree } from "../archive/pack-delta.ts";
import type { PackedPart } from "../archive/packed-part.ts";
import type { Packer, PackWatch } from "../archive/packer.ts";
import type { Trimmer } from "../archive/trimmer.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { formatPackProgress } from "../core/progress.ts";
import type { Reader } from "../registry/reader.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { orEmptyLayer } from "./claim-disk.ts";
import type { Packed, Told } from "./delete-claim.ts";
import { type KeptPack, keepPack, takeUpPack } from "./kept-pack.ts";
import type { LayerUse } from "./layer-use.ts";
import { layersOfCommit } from "./local-heads.ts";
import { beginTrim, finishTrims, packedOf } from "./trim-claim.ts";
import { readVersionBase, type VersionBase } from "./version-base.ts";

export type PackDeps = Pick<
  ClaimDeps,
  "files" | "root" | "claims" | "trees" | "keyring" | "log" | "platform" | "discard" | "clock"
> & {
  readonly packer: Packer;
  readonly trimmer: Trimmer;
  readonly reader: Reader;
  readonly use: LayerUse;
  readonly layers: Pick<ClaimLayers, "weigh" | "bytesOf">;
  /** Where another archive begins, in bytes before compression. */
  readonly layerMax: number;
  /** How many layers a version may have. */
  readonly chainMax: number;
  /** Aborted when the plugin stops. */
  readonly signal: AbortSignal;
};

/** What a version is made of: layers that registries have, and archives of this node on top of them. */
export type PackedClaim = Packed & {
  readonly base: VersionBase;
  readonly parts: readonly PackedPart[];
  /** Unpacked, of all of it. */
  readonly bytes: number;
};

type Packing = {
  readonly record: ClaimRecord;
  readonly told: Told;
  /** Brings what it was built on to the registry, where that is still to be done; waited for once something changed. */
  readonly below: () => Promise<void>;
};

const NO_BASE: VersionBase = { layers: [], bytes: 0 };

/**
 * The committed Layer, packed against what its base shows; repeating gives the same bytes, and packs them no second time
 * while they are there. What equals the base is taken out of the Layer too, unless another claim is based on it by then;
 * that goes on when this resolves. Failures: those of packing and trimming, and `unavailable` or `denied` where the base
 * cannot be read now.
 */
export async function packClaim(deps: PackDeps, packing: Packing): Promise<PackedClaim> {
  const { record, told, below } = packing;
  // What an earlier call began goes by its own journal, before that makes way.
  await finishTrimOf(deps, record);
  const pack = await changeOf(deps, record, told);
  if (pack === undefined) return { isChanged: false, base: NO_BASE, parts: [], bytes: 0 };
  if (pack.kind === "whole") return toWhole(pack);
  await below();
  const why = await whyWhole(deps, record, pack, told);
  if (typeof why === "string") return await packWhole(deps, record, { why, tell: told.tell });
  const { parts, bytes, replaced } = pack;
  return { isChanged: true, base: why, parts, bytes: bytes + Math.max(0, why.bytes - replaced) };
}

/** As an earlier try packed it, or packed now, with the Layer trimmed to it where that may be; undefined where nothing changed. */
async function changeOf(deps: PackDeps, record: ClaimRecord, told: Told): Promise<KeptPack | undefined> {
  const earlier = await takeUpPack(deps, record);
  if (earlier?.kind === "whole" || earlier?.trims === 0) return earlier;
  const delta = earlier ?? (await packChange(deps, record, told));
  if (delta.parts.length === 0 || (await isStillEmpty(deps, record))) return undefined;
  const { parts, bytes, kept, replaced, trims } = delta;
  const pack = { kind: "delta", parts, bytes, kept, replaced, trims } as const;
  // At once: the next claim may start from it.
  if (record.commit !== undefined && replaced > 0)
    await deps.layers.weigh(record.commit.layer, { replacedBytes: replaced });
  await keep(deps, record, pack);
  await trim(deps, record, pack);
  return pack;
}

/** Without that it is packed again. */
async function keep(deps: PackDeps, record: ClaimRecord, pack: KeptPack): Promise<void> {
  try {
    await keepPack(deps, record, pack);
  } catch (error) {
    if (!isFailure(error)) throw error;
    deps.log.warn("What was packed of a claim is not noted", { volume: record.volumeId, error });
  }
}

const toWhole = ({ parts, bytes }: Pick<KeptPack, "parts" | "bytes">): PackedClaim => ({
  isChanged: true,
  base: NO_BASE,
  parts,
  bytes,
});

/** All that the claim shows, as a new base that needs nothing of any registry. */
export async function packWhole(
  deps: PackDeps,
  record: ClaimRecord,
  { why, tell }: { readonly why: string; readonly tell: (words: string) => void },
): Promise<PackedClaim> {
  deps.log.info("Packing all of a claim as a new base", { volume: record.volumeId, why });
  // Else what is read changes meanwhile.
  await finishTrimOf(deps, record);
  const { upper, below } = await treesOf(deps, record);
  const output = await openOutput(deps, record);
  const watch = watchOf(deps, `all of the volume "${record.volumeId}"`, tell);
  // Under `copy` marks of overlays are data.
  const packed =
    record.settings.layout === "copy"
      ? await packAll(deps, record, { upper, ...output }, watch)
      : await deps.packer.packMerged({ layers: [upper, ...below], ...output }, watch);
  const { parts, bytes } = packed;
  await keep(deps, record, { kind: "whole", parts, bytes });
  return toWhole(packed);
}

/** The Layer is trimmed as far as it is going to be. */
export async function finishTrimOf(deps: PackDeps, { commit }: ClaimRecord): Promise<void> {
  if (commit !== undefined) await finishTrims(deps, [commit.layer]);
}

/** Tells how far it is. */
function watchOf({ signal }: PackDeps, what: string, tell: Told["tell"]): PackWatch {
  tell(formatPackProgress({ what }));
  return { signal, onProgress: (progress) => tell(formatPackProgress({ what, ...progress })) };
}

type Output = Awaited<ReturnType<typeof openOutput>> & { readonly upper: string };

async function packAll(
  deps: PackDeps,
  { settings: { devices } }: ClaimRecord,
  output: Output,
  watch: PackWatch,
): Promise<PackedTree> {
  const below = await orEmptyLayer(deps, []);
  const job = { below, kind: "plain", compare: "exact", devices } as const;
  return await deps.packer.packDelta({ ...job, ...output }, watch);
}

async function packChange(deps: PackDeps, record: ClaimRecord, { tell }: Told): Promise<PackedDelta> {
  const { layout, compare, devices } = record.settings;
  const trees = await treesOf(deps, record);
  const kind = layout === "copy" ? "plain" : "overlay";
  const output = await openOutput(deps, record);
  const job = { ...trees, kind, compare, devices: kind === "plain" && devices, ...output } as const;
  const delta = await deps.packer.packDelta(
    job,
    watchOf(deps, `what changed in the volume "${record.volumeId}"`, tell),
  );
  noteLeftOut(deps, record, delta);
  return delta;
}

/** A claim that began with nothing has but the root that was made for it, which is no content. */
async function isStillEmpty(deps: PackDeps, record: ClaimRecord): Promise<boolean> {
  if (record.base !== undefined && record.base.layers.length > 0) return false;
  const { upper } = await treesOf(deps, record);
  return (await deps.files.list(upper)).length === 0;
}

/** Topmost first, as the packer wants them. */
async function treesOf(deps: PackDeps, record: ClaimRecord) {
  const { trees } = deps;
  const { base, commit, volumeId } = record;
  const [upper] = commit === undefined ? [] : (trees.contents([commit.layer]) ?? []);
  const below = trees.contents(base?.layers ?? []);
  if (upper === undefined || below === undefined) {
    throw new Failure(
      "unavailable",
      `Cannot pack the volume "${volumeId}": layers of it are gone from this node; delete it with the policy "discard"`,
    );
  }
  return { upper, below: await orEmptyLayer(deps, below) };
}

/** Empty, whatever an earlier attempt left. */
async function openOutput({ files, root, discard, layerMax }: PackDeps, record: ClaimRecord) {
  const directory = packedOf(root, record);
  await discard(directory);
  await files.makeDirectory(directory);
  const isPortable = record.settings.format === "portable";
  return {
    directory,
    compression: isPortable ? ("gzip" as const) : ("zstd" as const),
    // Plain `oras pull` unpacks one archive over nothing.
    layerMax: isPortable ? Number.MAX_SAFE_INTEGER : layerMax,
    linksInRoot: isPortable,
  };
}

/** Why all of it is packed; else the base that the change goes on top of. */
async function whyWhole(
  deps: PackDeps,
  record: ClaimRecord,
  delta: KeptPack,
  { secrets }: Told,
): Promise<string | VersionBase> {
  if (record.settings.format === "portable") return "its format is portable";
  const { signal, clock } = deps;
  const base = await readVersionBase(deps, { record, secrets, signal, nowMs: clock.now() });
  if ("why" in base) return base.why;
  const chain = Math.max(base.layers.length + delta.parts.length, layersOfCommit(record).length);
  if (base.layers.length > 0 && chain > deps.chainMax) {
    return `it would have ${chain} layers, more than the ${deps.chainMax} of chain.max`;
  }
  return base;
}

/** What it takes is known then, too. */
async function trim(
  deps: PackDeps,
  record: ClaimRecord,
  pack: KeptPack & { readonly kind: "delta" },
): Promise<void> {
  const layer = record.commit?.layer;
  if (layer === undefined) return;
  const onEnd = async (isWhole: boolean) => {
    if (isWhole || deps.layers.bytesOf([layer]) === 0)
      await deps.layers.weigh(layer, { ownBytes: pack.kept.bytes, inodes: pack.kept.inodes });
    if (isWhole && pack.trims > 0) await keep(deps, record, { ...pack, trims: 0 });
  };
  if (pack.trims === 0) await onEnd(true);
  else await beginTrim(deps, record, onEnd);
}

function noteLeftOut({ log }: PackDeps, { volumeId }: ClaimRecord, { leftOut }: PackedDelta): void {
  if (leftOut.count === 0) return;
  log.warn("Entries that no archive holds are not written back", { volume: volumeId, leftOut });
}
