// A node's door, asked for what must be refused: in which words, what is left of it, and that the next good request works.
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { expect } from "vitest";
import type { RegistryDouble } from "../testing/registry-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal, refusalInTime } from "./remains.ts";
import { type PodRequest, type PodVolume, podVolume } from "./volume.ts";

type Asked = PodRequest & { readonly deadlineMs?: number };

/** The code, and all that the message says: the value that is wrong, and what helps. */
export type Told = readonly [code: string, ...says: ReadonlyArray<string | RegExp>];

type Contents = Readonly<Record<string, string>>;

type Circumstances = {
  /** What happens while it is asked. */
  readonly during?: () => Promise<void>;
  /** What ends the trouble, beside the registry's being mended, so that the same request shows this at last. */
  readonly cured?: { readonly by?: () => Promise<unknown>; readonly shows: Contents };
  /** Folders of the root in which something waits for the next attempt. */
  readonly besides?: readonly string[];
  /** It needs room, so that others' Trees may go. */
  readonly collects?: boolean;
};

type Behind = {
  readonly plugin: Plugin;
  readonly registry: RegistryDouble;
  /** Where what is good comes from, in place of the registry. */
  readonly good?: RegistryDouble;
};

export class Door {
  readonly #plugin: Plugin;
  readonly #registry: RegistryDouble;
  readonly #good: RegistryDouble;

  constructor({ plugin, registry, good = registry }: Behind) {
    [this.#plugin, this.#registry, this.#good] = [plugin, registry, good];
  }

  /**
   * A request that is refused in these words and leaves nothing. Cured, it is granted; one that nothing can cure is
   * refused again, since nothing of it was kept that could pass for good, and another is granted.
   */
  async refuses(asked: Asked, told: Told, circumstances: Circumstances = {}): Promise<void> {
    await this.#refusesOnce(asked, told, circumstances);
    const { cured } = circumstances;
    if (cured === undefined) {
      await this.#refusesOnce(asked, told, circumstances);
      await this.#showsAnother(asked);
    } else {
      this.#registry.mend();
      await cured.by?.();
      await this.shows(asked, cured.shows);
    }
    await nothingLeft(this.#plugin);
  }

  /** A request that is granted, and shows this. */
  async shows(asked: PodRequest, contents: Contents): Promise<void> {
    const volume = await podVolume(this.#plugin, asked);
    await volume.publish();
    expect(await contentsOf(volume.target)).toEqual(contents);
    await volume.unpublish();
  }

  async #refusesOnce(asked: Asked, [code, ...says]: Told, circumstances: Circumstances): Promise<void> {
    const { besides = [], collects = false, during } = circumstances;
    const volume = await podVolume(this.#plugin, asked);
    const before = await this.#held();
    const refusing = refusalAtLast(volume, code, asked.deadlineMs);
    const [refusal] = await Promise.all([refusing, during?.()]);
    expect(refusal.code, refusal.message).toBe(code);
    for (const words of says) expect(refusal.message).toMatch(patternOf(words));
    if (asked.target === undefined) await expect(stat(volume.target)).rejects.toThrow("ENOENT");
    await nothingLeft(this.#plugin, besides);
    const after = await this.#held();
    // Blobs that arrived whole beside one that did not are there for the next attempt.
    if (besides.length > 0) expect(after.trees).toEqual(before.trees);
    else if (collects) expect(before).toEqual(containing(after));
    else expect(after).toEqual(before);
  }

  async #showsAnother({ secrets = {} }: Asked): Promise<void> {
    const content = unique();
    const { digest } = putFiles(this.#good, { another: content });
    const attributes = { reference: `${this.#good.host}/a/b@${digest}` };
    await this.shows({ attributes, secrets }, { another: sha256(content) });
  }

  async #held() {
    return { layers: await kept(this.#plugin, "layers"), trees: await kept(this.#plugin, "trees") };
  }
}

/** A busy machine may need longer than the caller waits for what is told in the end. */
async function refusalAtLast(volume: PodVolume, code: string, deadlineMs = 60_000): Promise<Refusal> {
  for (let ms = deadlineMs; ; ms *= 2) {
    const refusal = await refusalInTime(volume, ms);
    if (refusal.code !== "ABORTED" || code === "ABORTED" || ms > 60_000) return refusal;
  }
}

export const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

const patternOf = (words: string | RegExp) =>
  typeof words === "string" ? new RegExp(RegExp.escape(words)) : words;

/** Some of it may be gone, and nothing new is there. */
const containing = ({ layers, trees }: { layers: readonly string[]; trees: readonly string[] }) => ({
  layers: expect.arrayContaining([...layers]),
  trees: expect.arrayContaining([...trees]),
});
