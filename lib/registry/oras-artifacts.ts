// The ORAS commands about whole artifacts: pull, push, copy.
import type { Oras, Push, PushedFile } from "./oras.ts";
import { parseDescriptor, parsePrintedDigest, parsePulled } from "./oras-answers.ts";
import { descriptorPath, type OrasDeps, runOras } from "./oras-command.ts";
import { formatTarget, showTarget } from "./oras-target.ts";

/** ORAS takes what follows the last colon for the media type, even if that is empty and it chooses one itself. */
const formatFile = ({ path, mediaType }: PushedFile) => `${path}:${mediaType ?? ""}`;

const joinTags = (tags: readonly string[]) => (tags.length === 0 ? undefined : tags.join(","));

export function openArtifacts(deps: OrasDeps): Pick<Oras, "pull" | "push" | "copy"> {
  return { ...openTransfers(deps), ...openCopies(deps) };
}

function openTransfers(deps: OrasDeps): Pick<Oras, "pull" | "push"> {
  return {
    async pull(target, name, directory, options) {
      const output = await runOras(deps, {
        words: ["pull"],
        targets: [target],
        flags: ["--no-tty", "--format", "json", "--output", directory].concat(
          options?.platform === undefined ? [] : ["--platform", options.platform],
          options?.keepOldFiles === true ? ["--keep-old-files"] : [],
        ),
        positional: [formatTarget(target, name)],
        action: `pull ${showTarget(target, name)}`,
        cancellation: options,
      });
      return parsePulled(output);
    },
    async push(target, artifact, options) {
      const name = joinTags(artifact.tags);
      const output = await runOras(deps, {
        words: ["push"],
        targets: [target],
        flags: ["--no-tty", "--format", "json", ...pushFlags(artifact)],
        positional: [formatTarget(target, name), ...artifact.files.map(formatFile)],
        descriptors:
          artifact.annotations === undefined ? [] : [Buffer.from(JSON.stringify(artifact.annotations))],
        cwd: artifact.directory,
        action: `push ${showTarget(target, name)}`,
        cancellation: options,
      });
      return parseDescriptor(output);
    },
  };
}

function openCopies(deps: OrasDeps): Pick<Oras, "copy"> {
  return {
    async copy({ from, name, to, tags, recursive }, options) {
      const output = await runOras(deps, {
        words: ["cp"],
        targets: [from, to],
        flags: ["--no-tty", ...(recursive === true ? ["--recursive"] : [])],
        positional: [formatTarget(from, name), formatTarget(to, joinTags(tags))],
        action: `copy ${showTarget(from, name)} to ${showTarget(to, joinTags(tags))}`,
        cancellation: options,
      });
      return parsePrintedDigest(output);
    },
  };
}

function pushFlags({ annotations, artifactType, config }: Push): string[] {
  return [
    ...(annotations === undefined ? [] : ["--annotation-file", descriptorPath(0)]),
    ...(artifactType === undefined ? [] : ["--artifact-type", artifactType]),
    ...(config === undefined ? [] : ["--config", formatFile(config)]),
  ];
}
