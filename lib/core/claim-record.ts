// The Record of a claim: where it started, how it is used, and how far its write-back has come.
import { createHash } from "node:crypto";
import { type BaseLook, readLook, readVersionOf } from "./base-look.ts";
import type { Version } from "./cache-key.ts";
import {
  type ClaimSettings,
  type ClaimTerms,
  formatClaimSettings,
  readClaimSettings,
  readClaimTerms,
} from "./claim-settings.ts";
import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { isFailure } from "./failure.ts";
import type { Fields } from "./fields.ts";
import { openRecord, VERSION } from "./record.ts";

const baseOrigins = ["head", "local", "known", "restore", "from", "empty"] as const;

/** What a claim's base was made from: `local` is a head committed here, `known` what the node last knew of it. */
export type BaseOrigin = (typeof baseOrigins)[number];

export type ClaimBase = {
  /** The lowest first; none under an empty one. */
  readonly layers: readonly Digest[];
  readonly tree?: { readonly key: Digest; readonly digest: Digest };
  readonly origin: BaseOrigin;
  /** Also of an outgrown head that an empty base takes the place of. */
  readonly version?: Version;
  /** The registry answered that the key had no head: so it was, or the credentials were not shown it. */
  readonly isHeadAbsent?: true;
  /** Of the files that it shows, as far as it was told. */
  readonly bytes?: number;
  /** It is less than it should be, because something failed: never moves the key. */
  readonly isTainted: boolean;
  /** What is to be said of it, in a sentence. */
  readonly note?: string;
};

/** The group (fsGroup) of the claim's pods, where something had to be done for it. */
export type ClaimGroup = {
  readonly gid: number;
  /** What it stands on instead of its base's Layers: the same, made over for the group. None under `copy`. */
  readonly layers: readonly Digest[];
  /** Whether all that pods wrote before is the group's by now. */
  readonly isApplied: boolean;
};

export type Outcome = "success" | "failure";

export type ClaimRecord = {
  readonly kind: "claim";
  readonly volumeId: string;
  readonly name: string;
  readonly createdMs: number;
  /** What tells its version from others of the same moment; drawn when it was made. */
  readonly id: string;
  readonly node: string;
  /** As they were asked for, to know the same call again. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly settings: ClaimSettings;
  readonly terms: ClaimTerms;
  readonly bytes: number;
  readonly inodes: number;
  /** What its owner is to hear of how it was made, in a sentence. */
  readonly warning?: string;
  /** None where the node limits nothing. */
  readonly project?: number;
  /** Until its base is fixed, which this never does. */
  readonly look?: BaseLook;
  /** When its first stage began to look for a base. */
  readonly baseSoughtMs?: number;
  /** Fixed by the first successful stage. */
  readonly base?: ClaimBase;
  readonly group?: ClaimGroup;
  readonly stage?: { readonly path: string; readonly boot: string };
  readonly publications: ReadonlyArray<{ readonly target: string; readonly readOnly: boolean }>;
  /** Of the last pod that used it, where it is known. */
  readonly outcome?: Outcome;
  /** It was mounted when its node went down; and whether a pod has used it since. */
  readonly wentDown?: { readonly isUsedSince: boolean };
  /** The boot under which it was unstaged without a sync, as a volatile one is. */
  readonly unsynced?: string;
  /** When it was first to be deleted. */
  readonly deletedMs?: number;
  /** When its write-back was last tried, and for how long in all by then. */
  readonly tried?: { readonly atMs: number; readonly forMs: number };
  readonly commit?: { readonly timeMs: number; readonly layer: Digest };
  readonly push?: {
    readonly manifest: Digest;
    readonly versionTag: string;
    /** Decided once, or two tries would make two versions of one tag. */
    readonly isKeyless: boolean;
    readonly state: "begun" | "confirmed";
    /** What another writer of its key has to do with it, in a sentence for whoever deletes the claim. */
    readonly contest?: string;
  };
  /** Why its data may go without the registry having them. */
  readonly letGo?: string;
};

/** One name is one volume, so that a call which is repeated finds what it made. */
export function claimIdOf(name: string): string {
  return `claim-${createHash("sha256").update(name).digest("hex")}`;
}

/** Whether claimIdOf() makes such ids; whoever writes a PersistentVolume by hand gives it another. */
export function isClaimId(volumeId: string): boolean {
  return /^claim-[0-9a-f]{64}$/.test(volumeId);
}

/** The Layer that the claim's changes become. */
export function committedLayerId({ volumeId, id }: Pick<ClaimRecord, "volumeId" | "id">): Digest {
  return digestOf(JSON.stringify(["volume", volumeId, id]));
}

/** All that collection has to leave for this claim. */
export function rootsOfClaim({ base, group, commit, push }: ClaimRecord): readonly Digest[] {
  return [
    ...(base?.layers ?? []),
    ...(group?.layers ?? []),
    ...(base?.tree === undefined ? [] : [base.tree.key, base.tree.digest]),
    ...(commit === undefined ? [] : [commit.layer]),
    ...(push === undefined ? [] : [push.manifest]),
  ];
}

/** Whether what its pods write is limited still: what is committed is content, and what is let go is on its way out. */
export function isLimited({ commit, letGo }: ClaimRecord): boolean {
  return commit === undefined && letGo === undefined;
}

/** Whether it is deleted but for its changes, which are owed to the registry still. */
export function isPendingWriteBack({ deletedMs, settings, terms, letGo, push }: ClaimRecord): boolean {
  const isOwed = settings.cache !== undefined && terms.policy !== "pull" && terms.policy !== "discard";
  return deletedMs !== undefined && isOwed && letGo === undefined && push?.state !== "confirmed";
}

/** The bytes that parseClaimRecord() reads. */
export function formatClaimRecord(record: ClaimRecord): Uint8Array {
  const text = JSON.stringify({
    version: VERSION,
    ...record,
    parameters: Object.fromEntries(record.parameters),
    settings: formatClaimSettings(record.settings),
  });
  return new TextEncoder().encode(`${text}\n`);
}

/** The Record that a file holds. Failures as `openRecord` throws them. */
export function parseClaimRecord(bytes: Uint8Array, name: string): ClaimRecord {
  const kind = "claim";
  const { fields, refuse } = openRecord(bytes, name, kind);
  try {
    return { kind, ...readMade(fields), ...readUse(fields), ...readEnd(fields) };
  } catch (error) {
    if (isFailure(error, "invalid")) throw refuse(error.message);
    throw error;
  }
}

function readMade(fields: Fields) {
  const project = fields.optionalCount("project");
  const warning = fields.optionalText("warning");
  return {
    volumeId: fields.text("volumeId"),
    name: fields.text("name"),
    createdMs: fields.count("createdMs"),
    id: fields.text("id"),
    node: fields.text("node"),
    parameters: fields.textMap("parameters"),
    settings: readClaimSettings(fields.object("settings")),
    terms: readClaimTerms(fields.object("terms")),
    bytes: fields.count("bytes"),
    inodes: fields.count("inodes"),
    ...(warning === undefined ? {} : { warning }),
    ...(project === undefined ? {} : { project }),
  };
}

function readUse(fields: Fields) {
  const look = fields.optionalObject("look");
  const soughtMs = fields.optionalCount("baseSoughtMs");
  const base = fields.optionalObject("base");
  const stage = fields.optionalObject("stage");
  const group = fields.optionalObject("group");
  const wentDown = fields.optionalObject("wentDown");
  const unsynced = fields.optionalText("unsynced");
  return {
    ...(look === undefined ? {} : { look: readLook(look) }),
    ...(soughtMs === undefined ? {} : { baseSoughtMs: soughtMs }),
    ...(base === undefined ? {} : { base: readBase(base) }),
    ...(group === undefined ? {} : { group: readGroup(group) }),
    ...(stage === undefined ? {} : { stage: { path: stage.text("path"), boot: stage.text("boot") } }),
    publications: fields
      .objects("publications")
      .map((one) => ({ target: one.text("target"), readOnly: one.boolean("readOnly") })),
    ...(fields.has("outcome") ? { outcome: fields.choice("outcome", ["success", "failure"]) } : {}),
    ...(wentDown === undefined ? {} : { wentDown: { isUsedSince: wentDown.boolean("isUsedSince") } }),
    ...(unsynced === undefined ? {} : { unsynced }),
  };
}

function readBase(fields: Fields): ClaimBase {
  const tree = fields.optionalObject("tree");
  const note = fields.optionalText("note");
  const bytes = fields.optionalCount("bytes");
  return {
    layers: fields.texts("layers").map(parseDigest),
    ...(tree === undefined ? {} : { tree: { key: tree.digest("key"), digest: tree.digest("digest") } }),
    origin: fields.choice("origin", baseOrigins),
    ...readVersionOf(fields),
    ...(bytes === undefined ? {} : { bytes }),
    isTainted: fields.boolean("isTainted"),
    ...(fields.has("isHeadAbsent") ? { isHeadAbsent: true } : {}),
    ...(note === undefined ? {} : { note }),
  };
}

const readGroup = (fields: Fields): ClaimGroup => ({
  gid: fields.count("gid"),
  layers: fields.texts("layers").map(parseDigest),
  isApplied: fields.boolean("isApplied"),
});

function readEnd(fields: Fields) {
  const deletedMs = fields.optionalCount("deletedMs");
  const tried = fields.optionalObject("tried");
  const commit = fields.optionalObject("commit");
  const push = fields.optionalObject("push");
  const contest = push?.optionalText("contest");
  const letGo = fields.optionalText("letGo");
  return {
    ...(deletedMs === undefined ? {} : { deletedMs }),
    ...(tried === undefined ? {} : { tried: { atMs: tried.count("atMs"), forMs: tried.count("forMs") } }),
    ...(commit === undefined
      ? {}
      : { commit: { timeMs: commit.count("timeMs"), layer: commit.digest("layer") } }),
    ...(push === undefined
      ? {}
      : {
          push: {
            manifest: push.digest("manifest"),
            versionTag: push.text("versionTag"),
            isKeyless: push.boolean("isKeyless"),
            state: push.choice("state", ["begun", "confirmed"]),
            ...(contest === undefined ? {} : { contest }),
          },
        }),
    ...(letGo === undefined ? {} : { letGo }),
  };
}
