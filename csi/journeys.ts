// The journeys that the door calls, put together with what they lean on: each goes to what its volume is.
import { groupTrees } from "../lib/archive/group-tree.ts";
import { fillUpper } from "../lib/archive/start-upper.ts";
import { isClaimId } from "../lib/core/claim-record.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import { openOccupants } from "../lib/volumes/occupants.ts";
import { type PublishDeps, publish } from "../lib/volumes/publish.ts";
import type { Records } from "../lib/volumes/records.ts";
import type { StageRequest } from "../lib/volumes/requests.ts";
import { type StatsDeps, stats } from "../lib/volumes/stats.ts";
import { unpublish } from "../lib/volumes/unpublish.ts";
import { openVolumeTurns } from "../lib/volumes/volume-turns.ts";
import { type ClaimParts, openClaims } from "./claims.ts";
import type { ControllerJourneys } from "./controller.ts";
import { labelOf } from "./label.ts";
import type { InlineJourneys, Journeys } from "./node.ts";

/** What names the artifact of a volume that is no claim. */
const REFERENCES = ["reference", "oras.artifact.reference"];

type Parts = Omit<ClaimParts, "turns" | "occupants"> & { readonly records: Records };

export type AllJourneys = Journeys & ControllerJourneys & AsyncDisposable;

/** Disposed, they leave write-backs for a later call to go on with. */
export function openJourneys(settings: NodeSettings, parts: Parts): AllJourneys {
  const shared = { ...parts, turns: openVolumeTurns(), occupants: openOccupants(parts) };
  const claims = openClaims(settings, shared);
  const inline = openInline(settings, shared);
  const ofVolume = ({ volumeId }: { readonly volumeId: string }) => (isClaimId(volumeId) ? claims : inline);
  return {
    ...claims,
    publish: (request, call) => ofVolume(request).publish(request, call),
    unpublish: (request, call) => ofVolume(request).unpublish(request, call),
    stage: async (request, call) => {
      if (!isArtifact(request)) await claims.stage(request, call);
    },
    stats: async (request, call) => (await claims.stats(request)) ?? (await inline.stats(request, call)),
  };
}

function openInline(settings: NodeSettings, parts: ClaimParts & Pick<Parts, "records">): InlineJourneys {
  const { ports, records, limits, strays, discard, trees, turns, occupants } = parts;
  const { files, mounts, keyring, clock, log, platform } = ports;
  const deps: PublishDeps & StatsDeps = {
    files,
    mounts,
    keyring,
    clock,
    log,
    platform,
    records,
    limits,
    strays,
    discard,
    trees,
    turns,
    occupants,
    fillUpper,
    groupedLayers: trees.groupedLayers,
    groupTrees,
    root: settings.root,
    registries: settings.registries,
    inline: settings.inline,
    view: { ...settings.mount, ...labelOf(settings, ports) },
  };
  return {
    publish: (request, call) => publish(deps, request, call),
    unpublish: (request) => unpublish(deps, request),
    stats: (request) => stats(deps, request),
  };
}

/** A PersistentVolume that names an artifact: the kubelet stages it too, and there is nothing to do before its publish. */
function isArtifact({ volumeId, context }: StageRequest): boolean {
  return !isClaimId(volumeId) && REFERENCES.some((name) => context.has(name));
}
