// Claims for tests: an ordinary one, and what differs from it.
import type { ClaimRecord } from "../claim-record.ts";
import type { ClaimSettings } from "../claim-settings.ts";
import { digestOf } from "../digest.ts";

export const settings: ClaimSettings = {
  cache: { host: "r.example", repository: "caches/team/npm", key: "main", restoreKeys: ["main-", "m"] },
  whenUnknown: "skip",
  failOnMiss: false,
  baseDeadlineMs: 300_000,
  format: "delta",
  compare: "content",
  layout: "overlay",
  durability: "normal",
  versions: 5,
  quota: "auto",
  devices: false,
};

/** Made, and not used yet. */
export const made: ClaimRecord = {
  kind: "claim",
  volumeId: "claim-1",
  name: "pvc-1",
  createdMs: 1.7e12,
  id: "k3x9",
  node: "node-1",
  parameters: new Map([["cache", "npm"]]),
  settings,
  terms: { policy: "pull-push", when: "success", onPushFailure: "drop", pushDeadlineMs: 86_400_000 },
  bytes: 2 ** 30,
  inodes: 2 ** 18,
  publications: [],
};

/** Used by one pod to a success, and unmounted. */
export const used: ClaimRecord = {
  ...made,
  base: {
    layers: [digestOf("a"), digestOf("b")],
    tree: { key: digestOf("t"), digest: digestOf("m") },
    origin: "head",
    version: { timeMs: 1.6e12, id: "base" },
    isTainted: false,
  },
  outcome: "success",
};

/** Used, deleted and committed. */
export const committed: ClaimRecord = {
  ...used,
  deletedMs: 1.71e12,
  tried: { atMs: 1.71e12, forMs: 0 },
  commit: { timeMs: 1.71e12, layer: digestOf("c") },
};
