// The journeys of claims, put together with what they lean on, and the flights of write-backs that a stop ends.
import { randomBytes } from "node:crypto";
import { groupTrees } from "../lib/archive/group-tree.ts";
import { fillUpper } from "../lib/archive/start-upper.ts";
import type { ClaimRecord } from "../lib/core/claim-record.ts";
import { Failure } from "../lib/core/failure.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import type { Trees } from "../lib/trees/trees.ts";
import { Turns } from "../lib/trees/turns.ts";
import { claimStats, readCapacity, validateClaim } from "../lib/volumes/claim-answers.ts";
import { placesOf } from "../lib/volumes/claim-disk.ts";
import type { ClaimRecords } from "../lib/volumes/claim-records.ts";
import { type CreateDeps, createClaim } from "../lib/volumes/create-claim.ts";
import { type DeleteDeps, deleteClaim, type Flight } from "../lib/volumes/delete-claim.ts";
import { expandClaim } from "../lib/volumes/expand-claim.ts";
import { forgetKnownHeads } from "../lib/volumes/known-heads.ts";
import { LayerUse } from "../lib/volumes/layer-use.ts";
import { LetIn } from "../lib/volumes/let-in.ts";
import type { Limits } from "../lib/volumes/limits.ts";
import { modifyClaim } from "../lib/volumes/modify-claim.ts";
import type { Occupants } from "../lib/volumes/occupants.ts";
import type { PackedClaim } from "../lib/volumes/pack-claim.ts";
import type { Promises } from "../lib/volumes/promises.ts";
import { publishClaim, unpublishClaim } from "../lib/volumes/publish-claim.ts";
import type { StatsRequest, VolumeStats } from "../lib/volumes/requests.ts";
import { stageClaim } from "../lib/volumes/stage-claim.ts";
import type { Strays } from "../lib/volumes/strays.ts";
import { Unmounts } from "../lib/volumes/unmounts.ts";
import { unstageClaim } from "../lib/volumes/unstage-claim.ts";
import type { UseDeps } from "../lib/volumes/use.ts";
import type { VolumeTurns } from "../lib/volumes/volume-turns.ts";
import { openWriteBack } from "../lib/volumes/write-back.ts";
import type { ControllerJourneys } from "./controller.ts";
import { labelOf } from "./label.ts";
import type { Journeys } from "./node.ts";
import type { Ports } from "./ports.ts";

export type ClaimParts = {
  readonly ports: Ports;
  readonly claims: ClaimRecords;
  readonly trees: Trees;
  readonly limits: Limits;
  readonly promises: Promises;
  readonly strays: Strays;
  /** Those of inline volumes too: an id is one volume, whatever it is. */
  readonly turns: VolumeTurns;
  readonly occupants: Occupants;
  readonly discard: (at: string) => Promise<void>;
};

/** Disposed, it ends the flights, for a later call to go on with, and has nothing under way any more. */
export type ClaimJourneys = AsyncDisposable &
  ControllerJourneys &
  Pick<Journeys, "publish" | "unpublish" | "stage" | "unstage" | "expand"> & {
    /** Nothing for what is no claim's. */
    stats(request: StatsRequest): Promise<VolumeStats | undefined>;
  };

const TEND_MS = 3_600_000;

export function openClaims(settings: NodeSettings, parts: ClaimParts): ClaimJourneys {
  const stopping = new AbortController();
  const flights = new Map<string, Flight>();
  const deps = claimDeps(settings, parts, { flights, signal: stopping.signal });
  const { ports, trees } = parts;
  const tending = ports.every(TEND_MS, () => forgetKnownHeads(deps, trees.claimLayers.meanings()));
  return {
    createClaim: (request, call) => createClaim(deps, request, call),
    deleteClaim: (request, call) => deleteClaim(deps, request, call),
    validateClaim: (request) => validateClaim(deps, request),
    readCapacity: (request) => readCapacity(deps, request),
    modifyClaim: (request) => modifyClaim(deps, request),
    stage: (request, call) => stageClaim(deps, request, call),
    publish: (request, call) => publishClaim(deps, request, call),
    unpublish: (request) => unpublishClaim(deps, request),
    unstage: (request, call) => unstageClaim(deps, request, call),
    expand: (request) => expandClaim(deps, request),
    stats: (request) => claimStats(deps, request),
    [Symbol.asyncDispose]: async () => {
      tending[Symbol.dispose]();
      stopping.abort(new Error("the plugin stops"));
      await Promise.allSettled([...flights.values()].map(({ outcome }) => outcome));
    },
  };
}

type Flights = { readonly flights: Map<string, Flight>; readonly signal: AbortSignal };

function claimDeps(
  settings: NodeSettings,
  parts: ClaimParts,
  flying: Flights,
): CreateDeps & DeleteDeps<PackedClaim> & UseDeps {
  const { ports, trees } = parts;
  const { oras, reader, patience } = ports;
  const given = { ...toNode(settings, ports), ...ports, ...parts, ...flying };
  const packing = {
    ...given,
    layers: trees.claimLayers,
    use: new LayerUse(),
    letIn: new LetIn(),
    headTurns: new Turns(1),
  };
  const pushing = { ...packing, push: { ...patience, oras, upstream: reader } };
  const writeBack = openWriteBack(pushing);
  return {
    ...packing,
    unmounts: new Unmounts(),
    drawId: () => randomBytes(6).toString("hex"),
    listTags: (access, signal) => oras.listTags(access, { signal }),
    groupedLayers: trees.groupedLayers,
    groupTrees,
    fill: (record, below) => fill(settings.root, record, below),
    ...writeBack,
    push: async (record, packed, told) => {
      await requireOras(ports, record);
      return await writeBack.push(record, packed, told);
    },
  };
}

/** At once, and not after the time for which a registry would be asked again. */
async function requireOras({ lacking }: Ports, { volumeId }: ClaimRecord): Promise<void> {
  const why = await lacking();
  if (why !== undefined)
    throw new Failure("unavailable", `Cannot write the volume "${volumeId}" back: ${why}`);
}

/** What the administrator said, in the words of the journeys. */
function toNode(settings: NodeSettings, ports: Pick<Ports, "selinux">) {
  const { root, node, driver, registries, mount, claims, layer, chain } = settings;
  return {
    root,
    node,
    driver,
    registries,
    flags: mount,
    ...labelOf(settings, ports),
    pending: claims.pending,
    layerMax: layer.maxBytes,
    chainMax: chain.max,
  };
}

async function fill(root: string, record: ClaimRecord, below: readonly string[]): Promise<void> {
  const { layout } = record.settings;
  await fillUpper({ upper: placesOf(root, record).upper, layout, wishes: record.settings }, below);
}
