// The journey of NodePublishVolume: a pod names an artifact and finds it mounted, or is told why not.
import { admit } from "../core/admit.ts";
import { ownAttributes } from "../core/attributes.ts";
import { isFailure } from "../core/failure.ts";
import type { Platform } from "../core/platform.ts";
import { formatProgress } from "../core/progress.ts";
import { type InlineRecord, recordName } from "../core/record.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import { parseGroup } from "../core/volume-group.ts";
import type { Keyring } from "../registry/keyring.ts";
import type { RegistrySettings } from "../settings/registries.ts";
import { parseVolume, type VolumeSettings } from "../settings/volume.ts";
import type { Progress } from "../trees/pull-progress.ts";
import type { ArrivingTree, LeasedTree, TreeRequest } from "../trees/tree-request.ts";
import type { Trees } from "../trees/trees.ts";
import { accessesFor } from "./cache-access.ts";
import { mountTree } from "./mount-tree.ts";
import type { Occupants } from "./occupants.ts";
import { type Clock, waitFor } from "./patience.ts";
import { checkPublish, refuseReader } from "./publish-request.ts";
import { ReadyTarget, type WantedRecord } from "./ready-target.ts";
import type { Call, PublishRequest } from "./requests.ts";
import { discardScratch, publishScratch, type ScratchDeps } from "./scratch.ts";
import { checkTarget, clearTarget, isMounted, type TargetDeps, takePath } from "./target.ts";
import type { VolumeTurns } from "./volume-turns.ts";

export type PublishDeps = TargetDeps &
  ScratchDeps & {
    readonly turns: VolumeTurns;
    readonly trees: Pick<Trees, "lease" | "contents" | "hold" | "letGo" | "sizeOf">;
    readonly keyring: Keyring;
    readonly clock: Clock;
    readonly platform: Platform;
    readonly registries: readonly RegistrySettings[];
    readonly occupants: Occupants;
    readonly inline: { readonly maxSizeBytes: number };
  };

/**
 * The volume is mounted at the target when it resolves, read-only unless it says that it is writable; repeating it is
 * safe and never unmounts.
 * `pending` while the pull goes on. After any other Failure nothing of it is left, but for the Record of a pod that
 * had its mount before, where the Failure may pass.
 */
export async function publish(deps: PublishDeps, request: PublishRequest, call: Call): Promise<void> {
  checkPublish(request);
  const settings = parseVolume(request.attributes, deps);
  if (settings.scratch !== undefined) refuseReader(request);
  const gid = parseGroup(request.capability.mountGroup);
  const wanted = toRecord(request);
  using _turn = deps.turns.take(request.volumeId);
  using _path = takePath(deps.occupants, request.volumeId, request.target, "target");
  const existing = deps.records.of(request.volumeId);
  const isKept = admit(existing, wanted) === "keep";
  if (await isMounted(deps, request.target)) {
    if (isKept) return;
    // Without its Record nobody knows what it shows.
    await clearTarget(deps, request.target);
  }
  await checkTarget(deps, request.target);
  const known = isKept ? deps.records.at(request.volumeId, request.target) : undefined;
  const { scratch, layout } = settings;
  const ready = new ReadyTarget(deps, wanted);
  const onArriving = (tree: ArrivingTree) => {
    if (scratch === undefined && known === undefined) ready.begin(tree);
  };
  try {
    using tree = await leaseTree(deps, { request, settings, known, onArriving }, call);
    if (scratch === undefined) {
      await ready.finish(tree);
      await mountTree(deps.mounts, deps.view, tree.layers, request.target);
    } else {
      const { digest, key: treeKey } = tree;
      const record = { ...wanted, digest, treeKey, boot: deps.files.bootId() };
      await publishScratch(deps, { record, known, layout, settings: scratch, gid }, tree, call);
    }
    for (const note of tree.notes) deps.log.warn(note, { volume: request.volumeId });
  } catch (error) {
    await ready.settled();
    // What was made ready in vain goes however it ended: of what is still being pulled there is no Record.
    if (ready.isBegun || !(call.signal.aborted || goesOn(error, known))) await undo(deps, wanted);
    throw error;
  }
}

/** Whether the Record stays for the next call, which the kubelet makes after these. */
function goesOn(error: unknown, known: InlineRecord | undefined): boolean {
  if (isFailure(error, "pending")) return true;
  // A registry that is down after a reboot must not cost a pod the content it had.
  return known !== undefined && (isFailure(error, "unavailable") || isFailure(error, "full"));
}

function toRecord({ volumeId, target, readOnly, attributes, capability }: PublishRequest): WantedRecord {
  const podUid = attributes.get("csi.storage.k8s.io/pod.uid");
  return {
    kind: "inline",
    volumeId,
    target,
    readOnly,
    ephemeral: attributes.get("csi.storage.k8s.io/ephemeral") === "true",
    ...(podUid === undefined ? {} : { podUid }),
    mode: capability.mode,
    attributes: ownAttributes(attributes),
  };
}

type Sought = {
  readonly request: PublishRequest;
  readonly settings: VolumeSettings;
  /** The Record of before: a pod that lost its mount to a reboot gets the content it had, whatever the tag means now. */
  readonly known: InlineRecord | undefined;
  /** Told while the Tree is on its way. */
  readonly onArriving: (tree: ArrivingTree) => void;
};

async function leaseTree(deps: PublishDeps, sought: Sought, call: Call): Promise<LeasedTree> {
  const { settings, request, known, onArriving } = sought;
  const reference: Reference =
    known === undefined ? settings.reference : { ...settings.reference, digest: known.digest };
  const wanted: Omit<TreeRequest, "accesses"> = {
    reference,
    ...(settings.pullPolicy === undefined ? {} : { pullPolicy: settings.pullPolicy }),
    platform: settings.platform ?? deps.platform,
    ...(settings.mediaTypes === undefined ? {} : { mediaTypes: settings.mediaTypes }),
    // A copy to write to is made of the layers themselves.
    layout: settings.scratch === undefined ? settings.layout : "overlay",
  };
  const artifact = formatReference(settings.reference);
  let words = `Pulling ${artifact}: asking the node's credential providers`;
  const onProgress = (progress: Progress) => {
    words = formatProgress({ artifact, ...progress });
  };
  return await waitFor(
    deps.clock,
    call,
    () => words,
    async (signal) => {
      const asking = { keyring: deps.keyring, settings, secrets: request.secrets, signal };
      const accesses = await accessesFor(asking, settings.reference);
      onProgress({ doneBytes: 0, sources: [] });
      return await deps.trees.lease({ ...wanted, accesses }, { signal, onProgress, onArriving });
    },
  );
}

/** Nothing of this publish is left: the kubelet need not call unpublish after a refusal. */
async function undo(deps: PublishDeps, wanted: WantedRecord): Promise<void> {
  const { volumeId, target } = wanted;
  const record = deps.records.at(volumeId, target);
  // Held before the Record was there: where that could not be written, nobody else lets go.
  if (record === undefined) return deps.trees.letGo(recordName(volumeId, target));
  try {
    await clearTarget(deps, target);
    await discardScratch(deps, record);
    await deps.records.remove(recordName(volumeId, target));
    deps.trees.letGo(recordName(volumeId, target));
  } catch (error) {
    deps.log.error("Cannot undo a publish; the record stays until the kubelet unpublishes", {
      volume: volumeId,
      error,
    });
  }
}
