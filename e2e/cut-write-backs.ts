// Write-backs that a loss of power hits: each on a file system of its own, so that no other's sync saves it.
import { createHash } from "node:crypto";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import type { RegistryDouble } from "../testing/registry-double.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { digestsIn, digestsOf, namesIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { serveImage } from "./served.ts";

/** Before which effect of DeleteVolume the plugin dies, and the power goes. */
const cuts = {
  /** What pods wrote is a Layer, which no sync has passed. */
  placed: { only: "^syncDirectory$", left: 1 },
  /** Some of it is sent. */
  sent: { only: "^push blob$", left: 0 },
  /** The registry has the version; its key is as it was. */
  tagged: { only: "^push version-tag$", left: 0 },
} as const;
type Cut = keyof typeof cuts;
const names = Object.keys(cuts) as Cut[];

const base = { "base.txt": "base", "d/same.txt": "same" };
/** Of which one file is as it was in the base, and taken out of the Layer. */
const written = { "big.jar": "big ".repeat(2 ** 18), "d/same.txt": "same", "d/small.pom": "small" };
const whole = digestsOf({ ...base, ...written });

export class CutWriteBacks {
  readonly #registry: RegistryDouble;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;

  /** `folder` outlives the power, with what is synced of it. */
  constructor(registry: RegistryDouble, folder: string, environment: Readonly<Record<string, string>>) {
    this.#registry = registry;
    this.#folder = folder;
    this.#environment = environment;
  }

  /** Each comes as far as it does. */
  async begin(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const from = await serveImage(this.#registry, "base", [base]);
    for (const name of names) await this.#cutShort(name, from);
    await this.#saveRegistry();
  }

  /** Which came to one whole version that has its key, here and for a node that has nothing. */
  async finish(): Promise<Readonly<Record<string, boolean>>> {
    await this.#restoreRegistry();
    const found = new Map<string, boolean>();
    for (const name of names) found.set(name, await this.#isFinished(name));
    const folder = path.join(this.#folder, "other");
    await mkdir(folder);
    await using other = await openClaimPlugin({ folder, environment: this.#environment });
    for (const name of names) found.set(name, found.get(name) === true && (await this.#isWhole(other, name)));
    return Object.fromEntries(found);
  }

  async #cutShort(name: Cut, from: string): Promise<void> {
    const at = this.#at(name);
    await mkdir(at);
    await execa("truncate", ["-s", "512M", `${at}.image`]);
    await execa("mkfs.xfs", ["-q", `${at}.image`]);
    await execa("mount", ["-o", "loop,prjquota", `${at}.image`, at]);
    const fuse = path.join(this.#folder, "fuse");
    const plugin = await openClaimPlugin({
      folder: path.join(at, "node"),
      program: "csi/testing/killed-plugin.ts",
      environment: { ...this.#environment, LARDER_TEST_FUSE: `${fuse}-${name}` },
    });
    const claim = this.#claim(plugin, name, { from });
    await claim.runPod(async (target) => {
      await mkdir(path.join(target, "d"), { recursive: true });
      for (const [file, content] of Object.entries(written))
        await writeFile(path.join(target, file), content);
    });
    await writeFile(`${fuse}-${name}`, JSON.stringify(cuts[name]));
    const refused = claim.delete({ deadlineMs: 3_600_000 }).catch(() => undefined);
    if ((await plugin.ended) !== null) throw new Error(`the plugin was not killed: ${plugin.log.join("\n")}`);
    await refused;
    if (name === "placed") return;
    // Any sync of one file takes every name so far to the disk, and the bytes of that file alone.
    await using other = await open(path.join(at, "other"), "w");
    await other.sync();
  }

  async #isFinished(name: Cut): Promise<boolean> {
    const at = this.#at(name);
    await execa("mount", ["-o", "loop,prjquota", `${at}.image`, at]);
    await using plugin = await openClaimPlugin({
      folder: path.join(at, "node"),
      environment: this.#environment,
    });
    const claim = this.#claim(plugin, name);
    claim.id = `claim-${createHash("sha256").update(name).digest("hex")}`;
    const isOwed = (await namesIn(path.join(plugin.root, "claims"))).includes(claim.id);
    await claim.deleteAtLast();
    const left = await Promise.all(
      ["claims", "volumes", "attempts"].map((folder) => namesIn(path.join(plugin.root, folder))),
    );
    const { pushes } = this.#registry;
    const versions = pushes.tags().filter((tag) => tag.startsWith(`cut-${name}.`));
    const isKeyed = versions.every((tag) => pushes.digestOf(tag) === pushes.digestOf(`cut-${name}`));
    const isClean = left.flat().length === 0 && !plugin.log.some((line) => line.includes('"level":"error"'));
    return isOwed && isClean && versions.length === 1 && isKeyed && (await this.#isWhole(plugin, name));
  }

  /** For a claim there that starts from its key. */
  async #isWhole(plugin: Plugin, name: Cut): Promise<boolean> {
    let isWhole = false;
    await this.#claim(plugin, name, { policy: "pull" }, `next-${name}`).runPod(async (target) => {
      isWhole = JSON.stringify(await digestsIn(target)) === JSON.stringify(sorted(whole));
    });
    return isWhole;
  }

  #claim(
    plugin: Plugin,
    key: Cut,
    more: Readonly<Record<string, string>> = {},
    name: string = key,
  ): ClaimCalls {
    const repository = `${this.#registry.host}/caches/\${cache}`;
    const parameters = { repository, cache: "cut", key: `cut-${key}`, when: "always", ...more };
    return new ClaimCalls({ plugin }, { name, parameters, alsoAfter: "UNAVAILABLE" });
  }

  #at(name: Cut): string {
    return path.join(this.#folder, name);
  }

  get #saved(): string {
    return path.join(this.#folder, "registry.json");
  }

  /** It is another machine's, and keeps its power. */
  async #saveRegistry(): Promise<void> {
    await writeFile(this.#saved, JSON.stringify(this.#registry.save()), { flush: true });
    await execa("sync", [this.#folder]);
  }

  async #restoreRegistry(): Promise<void> {
    this.#registry.restore(JSON.parse(await readFile(this.#saved, "utf8")));
  }
}

const sorted = (digests: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1)));
