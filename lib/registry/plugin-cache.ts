// What one credential-provider plugin answered, for as long as it said, and one question at a time per registry.
import type { KeyedCredentials } from "./docker-config.ts";
import type { PluginAnswer } from "./plugin-protocol.ts";

type Kept = { readonly entries: readonly KeyedCredentials[]; readonly from: number; readonly until: number };

export class PluginCache {
  readonly #now: () => number;
  readonly #ask: (image: string) => Promise<PluginAnswer>;
  readonly #kept = new Map<string, Kept>();
  /** The question under way for an image: whoever comes meanwhile takes its answer. */
  readonly #asking = new Map<string, Promise<readonly KeyedCredentials[]>>();
  /** The last question about a registry: the next waits, since its answer may be good for that too. */
  readonly #lastOf = new Map<string, Promise<unknown>>();

  constructor(now: () => number, ask: (image: string) => Promise<PluginAnswer>) {
    this.#now = now;
    this.#ask = ask;
  }

  entriesFor(host: string, repository: string): Promise<readonly KeyedCredentials[]> {
    const image = `${host}/${repository}`;
    const asking = this.#asking.get(image) ?? this.#queue(host, image);
    this.#asking.set(image, asking);
    return asking;
  }

  async #queue(host: string, image: string): Promise<readonly KeyedCredentials[]> {
    const before = this.#lastOf.get(host) ?? Promise.resolve();
    const own = before.then(() => this.#find(host, image));
    const settled = own.then(
      () => {},
      () => {},
    );
    this.#lastOf.set(host, settled);
    try {
      return await own;
    } finally {
      this.#asking.delete(image);
      if (this.#lastOf.get(host) === settled) this.#lastOf.delete(host);
    }
  }

  async #find(host: string, image: string): Promise<readonly KeyedCredentials[]> {
    this.#forgetOld();
    for (const scope of [`Image ${image}`, `Registry ${host}`, "Global"]) {
      const kept = this.#kept.get(scope);
      if (kept !== undefined) return kept.entries;
    }
    const { entries, scope, cacheMs } = await this.#ask(image);
    const key = { Image: `Image ${image}`, Registry: `Registry ${host}`, Global: "Global" }[scope];
    const from = this.#now();
    if (cacheMs > 0) this.#kept.set(key, { entries, from, until: from + cacheMs });
    return entries;
  }

  /** A clock that was set back makes everything old: what was kept may have run out long ago. */
  #forgetOld(): void {
    const now = this.#now();
    for (const [key, { from, until }] of this.#kept) if (now < from || now >= until) this.#kept.delete(key);
  }
}
