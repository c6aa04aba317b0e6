// The ORAS commands about manifests and what they are called.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { openAttempt } from "../host/attempts.ts";
import type { Oras } from "./oras.ts";
import { parseDescriptor, parsePrintedDigest, parseReferrers, parseTags } from "./oras-answers.ts";
import { type OrasDeps, runOras, runOrasIn } from "./oras-command.ts";
import { formatTarget, showTarget } from "./oras-target.ts";

type Manifests = Pick<
  Oras,
  "resolve" | "tag" | "listTags" | "discover" | "fetchManifest" | "pushManifest" | "deleteManifest"
>;

export function openManifests(deps: OrasDeps): Manifests {
  return { ...openNames(deps), ...openLists(deps), ...openContents(deps) };
}

function openNames(deps: OrasDeps): Pick<Manifests, "resolve" | "tag"> {
  return {
    async resolve(target, name, options) {
      const output = await runOras(deps, {
        words: ["resolve"],
        targets: [target],
        flags: options?.platform === undefined ? [] : ["--platform", options.platform],
        positional: [formatTarget(target, name)],
        action: `resolve ${showTarget(target, name)}`,
        cancellation: options,
      });
      return parsePrintedDigest(output);
    },
    async tag(target, name, tags, options) {
      if (tags.length === 0) return;
      await runOras(deps, {
        words: ["tag"],
        targets: [target],
        positional: [formatTarget(target, name), ...tags],
        action: `tag ${showTarget(target, name)} as ${tags.join(", ")}`,
        cancellation: options,
      });
    },
  };
}

function openLists(deps: OrasDeps): Pick<Manifests, "listTags" | "discover"> {
  return {
    async listTags(target, options) {
      const output = await runOras(deps, {
        words: ["repo", "tags"],
        targets: [target],
        flags: ["--format", "json", ...(options?.last === undefined ? [] : ["--last", options.last])],
        positional: [formatTarget(target)],
        action: `list the tags of ${showTarget(target)}`,
        cancellation: options,
      });
      return parseTags(output);
    },
    async discover(target, name, options) {
      const output = await runOras(deps, {
        words: ["discover"],
        targets: [target],
        flags: ["--format", "json", "--depth", "1"].concat(
          options?.artifactType === undefined ? [] : ["--artifact-type", options.artifactType],
        ),
        positional: [formatTarget(target, name)],
        action: `discover what refers to ${showTarget(target, name)}`,
        cancellation: options,
      });
      return parseReferrers(output);
    },
  };
}

function openContents(deps: OrasDeps): Pick<Manifests, "fetchManifest" | "pushManifest" | "deleteManifest"> {
  return {
    async fetchManifest(target, name, options) {
      await using attempt = await openAttempt(deps.attempts);
      const file = path.join(attempt.directory, "manifest");
      const output = await runOrasIn(deps, attempt, {
        words: ["manifest", "fetch"],
        targets: [target],
        flags: ["--descriptor", "--output", file],
        positional: [formatTarget(target, name)],
        action: `fetch the manifest ${showTarget(target, name)}`,
        cancellation: options,
      });
      return { descriptor: parseDescriptor(output), bytes: await readFile(file) };
    },
    async pushManifest(target, { bytes, mediaType, name }, options) {
      const output = await runOras(deps, {
        words: ["manifest", "push"],
        targets: [target],
        flags: ["--descriptor", "--media-type", mediaType],
        positional: [formatTarget(target, name), "-"],
        stdin: bytes,
        action: `push the manifest ${showTarget(target, name)}`,
        cancellation: options,
      });
      return parseDescriptor(output);
    },
    async deleteManifest(target, name, options) {
      await runOras(deps, {
        words: ["manifest", "delete"],
        targets: [target],
        flags: ["--force"],
        positional: [formatTarget(target, name)],
        action: `delete the manifest ${showTarget(target, name)}`,
        cancellation: options,
      });
    },
  };
}
