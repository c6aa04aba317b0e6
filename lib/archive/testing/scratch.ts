// A directory for one test, with a blob to unpack and a place to unpack it to.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Digest, digestOf } from "../../core/digest.ts";
import { Directory } from "../../host/directory.ts";
import { removeTreeNow } from "../../host/remove-tree.ts";
import { FeedProgress } from "../feed-progress.ts";
import { unpackFeed } from "../unpack-feed.ts";
import type { Feed, Unpacked, UnpackJob, UnpackOptions } from "../unpacker.ts";

export class Scratch implements Disposable {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), "larder-archive-"));
  #made = 0;

  [Symbol.dispose](): void {
    using parent = Directory.open(path.dirname(this.path));
    removeTreeNow(parent, path.basename(this.path));
  }

  directory(name = `directory-${++this.#made}`): string {
    const made = path.join(this.path, name);
    fs.mkdirSync(made, { mode: 0o700 });
    return made;
  }

  /** Whole, unless the test says how far it is. */
  feed(blob: Uint8Array, digest: Digest = digestOf(blob), progress = whole(blob.length)): Feed {
    const file = path.join(this.path, `blob-${++this.#made}`);
    fs.writeFileSync(file, blob);
    return { path: file, size: blob.length, digest, progress };
  }

  job(blob: Uint8Array, more: Partial<UnpackJob> = {}): UnpackJob {
    return {
      feed: more.feed ?? this.feed(blob),
      compression: "none",
      directory: more.directory ?? this.directory(),
      kind: "image",
      root: "",
      keepSetuid: true,
      ...more,
    };
  }

  async unpack(
    blob: Uint8Array,
    more: Partial<UnpackJob> = {},
    options: Partial<UnpackOptions> = {},
  ): Promise<Unpacked & { readonly at: string }> {
    const job = this.job(blob, more);
    const signal = new AbortController().signal;
    const unpacked = await unpackFeed(job, { signal, room: async () => {}, ...options });
    return { ...unpacked, at: job.directory };
  }
}

function whole(bytes: number): FeedProgress {
  const progress = new FeedProgress();
  progress.advance(bytes);
  return progress;
}

/** Everything in a directory, with type and mode: what a test compares. Names are latin1 text. */
export function treeOf(top: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const walk = (directory: Directory, prefix: string) => {
    for (const name of directory.list().sort()) {
      const { type, mode, size } = directory.status(name);
      tree[prefix + name] =
        type === "file" ? `file ${mode.toString(8)} ${size}` : `${type} ${mode.toString(8)}`;
      if (type !== "directory") continue;
      using below = directory.enter(name);
      walk(below, `${prefix}${name}/`);
    }
  };
  using directory = Directory.open(top);
  walk(directory, "");
  return tree;
}
