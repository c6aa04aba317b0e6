// The schema of what a class says about its claims, and of what may be said later.
import { z } from "zod";
import { parseKey } from "../core/cache-key.ts";
import { cachePolicies } from "../core/claim-settings.ts";
import { parseBytes, parseDuration } from "../core/quantity.ts";
import { parseReference } from "../core/reference.ts";
import { artifactAttributes } from "./artifact.ts";
import { parsed } from "./problems.ts";
import { parseCacheName, parseRepositoryTemplate } from "./repository.ts";
import { rootAttributes } from "./scratch.ts";
import { parseSwitch, wholeNumber } from "./texts.ts";

const parseKeys = (text: string) =>
  text
    .split(/[\n,]/)
    .map((key) => key.trim())
    .filter((key) => key !== "")
    .map(parseKey);

/** What may be changed while a claim is there. */
const terms = {
  policy: z.enum(cachePolicies),
  when: z.enum(["success", "always"]),
  "on-push-failure": z.enum(["drop", "keep"]),
  "push-deadline": parsed(parseDuration),
};

export const claimModification = z.strictObject({
  policy: terms.policy.exactOptional(),
  when: terms.when.exactOptional(),
  "on-push-failure": terms["on-push-failure"].exactOptional(),
  "push-deadline": terms["push-deadline"].exactOptional(),
  outcome: z.enum(["success", "failure"]).exactOptional(),
});

export const claimParameters = z.strictObject({
  from: parsed(parseReference).exactOptional().meta({
    description: "The artifact a claim starts from when its cache is empty or it has none.",
  }),
  cache: parsed(parseCacheName).exactOptional().meta({
    description: "The cache by its name; alias `k8storagex.mgoltzsche.github.com/cache-name`.",
  }),
  key: parsed(parseKey).prefault("latest").meta({ description: "Which moving tag of the cache." }),
  "restore-keys": parsed(parseKeys).exactOptional().meta({
    description:
      "Beginnings of keys, with commas between: the newest version of the first that fits, when the key has no head.",
  }),
  repository: parsed(parseRepositoryTemplate).exactOptional().meta({
    description:
      "Where caches live, such as `registry.example/caches/${namespace}/${cache}`; both stand for whole components.",
  }),
  policy: terms.policy.default("pull-push").meta({
    description:
      "Read the cache (`pull`), write it back (`push`), both, or read it and `discard` the changes.",
  }),
  when: terms.when.default("success").meta({
    description: "Write back when the last pod that used it ended in `success`, or `always`.",
  }),
  "when-unknown": z.enum(["skip", "push"]).default("skip").meta({
    description: "What `success` means when nobody told how the pod ended.",
  }),
  "fail-on-miss": parsed(parseSwitch).prefault("false").meta({ description: "No base, no pod." }),
  "base-deadline": parsed(parseDuration).prefault("5m").meta({
    description: "How long a first stage waits for its base before it starts empty.",
  }),
  format: z.enum(["delta", "portable"]).default("delta").meta({
    description: "`delta`: what changed, zstd; `portable`: one gzip layer that plain `oras pull` unpacks.",
  }),
  compare: z.enum(["content", "exact"]).default("content").meta({
    description: "What makes a file changed: its content, or its time too (`exact`).",
  }),
  ...artifactAttributes,
  layout: z.enum(["overlay", "copy"]).default("overlay").meta({
    description:
      "`copy`: one directory instead of an overlay, for pods in a user namespace and work that rewrites most files.",
  }),
  durability: z.enum(["normal", "volatile"]).default("normal").meta({
    description:
      "`volatile` never syncs; where its node goes down before its write-back has begun, such a claim is thrown away.",
  }),
  versions: parsed(wholeNumber(1, 10_000)).prefault("5").meta({
    description: "Versions of a key that are kept in the registry after a push.",
  }),
  "max-size": parsed(parseBytes).exactOptional().meta({
    description: "A head larger than this is left alone, and the next claim starts empty; twice the claim.",
  }),
  "on-push-failure": terms["on-push-failure"].default("drop").meta({
    description: "`drop` lets go of the changes after `push-deadline`, `keep` never.",
  }),
  "push-deadline": terms["push-deadline"].prefault("24h").meta({
    description:
      "How long a write-back is tried after the claim was deleted; of a pause, such as of a node that is off, an hour counts.",
  }),
  quota: z.enum(["auto", "required"]).default("auto").meta({
    description: "`required`: only on nodes where the size is a hard limit.",
  }),
  ...rootAttributes,
  devices: parsed(parseSwitch).prefault("false").meta({
    description: "Under `copy`: device nodes are written back.",
  }),
});
