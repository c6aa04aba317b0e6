// Brings Layers of a claim's base back for its write-back: a power loss takes those that were not synced yet.
import type { ClaimRecord } from "../core/claim-record.ts";
import { isFailure } from "../core/failure.ts";
import { formatProgress } from "../core/progress.ts";
import { formatReference } from "../core/reference.ts";
import { accessesFor } from "./cache-access.ts";
import type { ClaimDeps } from "./claim-deps.ts";

type Deps = Pick<ClaimDeps, "trees" | "keyring" | "platform"> & {
  /** Aborted when the plugin stops. */
  readonly signal: AbortSignal;
};

/** As the call brought them that began the write-back, which hears how far it is. */
type Told = {
  readonly secrets: ReadonlyMap<string, string>;
  readonly tell: (words: string) => void;
};

/**
 * The base is here when it resolves, where any registry has it still; the Record keeps it. What nobody has is for those
 * to tell who need it. Failures: those of a pull.
 */
export async function returnBase(deps: Deps, record: ClaimRecord, { secrets, tell }: Told): Promise<void> {
  const { base, settings } = record;
  const place = base?.origin === "from" ? settings.from : settings.cache;
  if (base?.tree === undefined || place === undefined || isHere(deps, record)) return;
  const { host, repository } = place;
  const reference = { host, repository, digest: base.tree.digest };
  const { signal, keyring } = deps;
  const accesses = await accessesFor({ keyring, settings, secrets, signal }, reference);
  const { mediaTypes, platform = deps.platform } = settings;
  const taken = mediaTypes === undefined ? {} : { mediaTypes };
  const artifact = formatReference(reference);
  try {
    using _tree = await deps.trees.lease(
      { accesses, reference, platform, layout: "overlay", ...taken },
      { signal, onProgress: (progress) => tell(formatProgress({ ...progress, artifact })) },
    );
  } catch (error) {
    if (!isFailure(error, "not-found")) throw error;
  }
}

const isHere = ({ trees }: Deps, { base }: ClaimRecord) => trees.contents(base?.layers ?? []) !== undefined;
