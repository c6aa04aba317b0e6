// Makes sure that a version's base is in its repository: from registry to registry, never through this node.
import type { Access } from "../core/access.ts";
import { isFailure } from "../core/failure.ts";
import { insist } from "./insist.ts";
import { deleteBroken, heldOrUnseen } from "./send-blob.ts";
import type { BlobName } from "./upstream.ts";
import { type BaseLayers, nameOf, type PushDeps } from "./version-push.ts";

type Wanted = { readonly access: Access; readonly base: BaseLayers };
type Missing = { readonly layers: readonly BlobName[]; readonly why: string };

/** ORAS takes no larger manifest. */
export const MOST_ORAS_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Undefined when the repository has all of it; otherwise what can be brought from nowhere, and why. */
export async function bringBase(
  deps: PushDeps,
  { access, base }: Wanted,
  signal: AbortSignal,
): Promise<Missing | undefined> {
  const lacking = await lackingOf(deps, { access, layers: base.layers }, signal);
  if (lacking.length === 0) return undefined;
  const { source } = base;
  if (source === undefined || nameOf(source.access) === nameOf(access))
    return { layers: lacking, why: `${nameOf(access)} does not have it any more` };
  const why = await copyFrom(deps, { access, base: { layers: lacking, source } }, signal);
  if (why !== undefined) return { layers: lacking, why };
  const still = await lackingOf(deps, { access, layers: lacking }, signal);
  return still.length === 0
    ? undefined
    : { layers: still, why: `${nameOf(access)} did not keep what was copied to it` };
}

/** Undefined when it was copied; why not, where trying again cannot help. */
async function copyFrom(
  deps: PushDeps,
  wanted: Wanted & { readonly base: Required<BaseLayers> },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { access: from, manifest } = wanted.base.source;
  const copy = async () =>
    await deps.oras.copy({ from, name: manifest, to: wanted.access, tags: [] }, { signal });
  try {
    await insist(deps, wanted.access.host, copy, signal);
    return undefined;
  } catch (error) {
    if (!isFailure(error) || error.reason === "unavailable") throw error;
    const why = await whyNot(deps, wanted.base, signal);
    if (why === undefined) throw error;
    return why;
  }
}

/** ORAS does not tell by its exit which of two registries it was: whether the source has it, the source is asked. */
async function whyNot(
  deps: PushDeps,
  { source, layers }: Required<BaseLayers>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const from = nameOf(source.access);
  const standing = await deps.upstream.standing(source.access, source.manifest, signal);
  if (standing === undefined) return `${from}@${source.manifest} has vanished`;
  if (standing.bytes.length > MOST_ORAS_MANIFEST_BYTES)
    return `the manifest of ${from}@${source.manifest} is larger than the 4 MiB ORAS takes`;
  const held = await Promise.all(
    layers.map(async (layer) => await deps.upstream.holds(source.access, layer, signal)),
  );
  return held.every((one) => one === "whole")
    ? undefined
    : `${from} does not have all of its layers any more`;
}

async function lackingOf(
  deps: PushDeps,
  { access, layers }: { readonly access: Access; readonly layers: readonly BlobName[] },
  signal: AbortSignal,
): Promise<readonly BlobName[]> {
  const held = await Promise.all(
    layers.map(async (blob) => {
      const found = await heldOrUnseen(deps, { access, blob }, signal);
      if (found === "broken") await deleteBroken(deps, { access, blob }, signal);
      return found;
    }),
  );
  return layers.filter((_, at) => held[at] !== "whole");
}
