// The ORAS commands about single blobs.
import type { Oras } from "./oras.ts";
import { type OrasDeps, runOras } from "./oras-command.ts";
import { formatTarget, showTarget } from "./oras-target.ts";

export function openBlobs(deps: OrasDeps): Pick<Oras, "fetchBlob" | "pushBlob" | "deleteBlob"> {
  return {
    async fetchBlob(target, digest, onChunk, options) {
      await runOras(deps, {
        words: ["blob", "fetch"],
        targets: [target],
        flags: ["--no-tty", "--output", "-"],
        positional: [formatTarget(target, digest)],
        onStdout: onChunk,
        action: `fetch the blob ${showTarget(target, digest)}`,
        cancellation: options,
      });
    },
    async pushBlob(target, { digest, size }, content, options) {
      const fromFile = typeof content === "string";
      await runOras(deps, {
        words: ["blob", "push"],
        targets: [target],
        flags: ["--no-tty", "--size", String(size)],
        positional: [formatTarget(target, digest), fromFile ? content : "-"],
        ...(fromFile ? {} : { stdin: content }),
        action: `push the blob ${showTarget(target, digest)}`,
        cancellation: options,
      });
    },
    async deleteBlob(target, digest, options) {
      await runOras(deps, {
        words: ["blob", "delete"],
        targets: [target],
        flags: ["--force"],
        positional: [formatTarget(target, digest)],
        action: `delete the blob ${showTarget(target, digest)}`,
        cancellation: options,
      });
    },
  };
}
