// A node that went down in the middle of everything, kept as it was then, so that it can be started again and again.
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { ClaimCalls, type ClaimRequest, insisting, openClaimPlugin } from "./claim-calls.ts";
import { mountsUnder, namesIn, until } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { type Contents, serveFiles, serveImage } from "./served.ts";
import { type PodVolume, podVolume } from "./volume.ts";

const MIB = 2 ** 20;
const ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000";

/** What is in there, by what it is called. */
export const contents = {
  /** Of a pod that runs. */
  kept: { "kept.txt": "kept", "d/upper.txt": "upper" },
  /** Pulled for a pod that is gone. */
  idle: { "idle.txt": "idle" },
  /** Half of it is here. */
  big: { "big.bin": randomBytes(9 * MIB) },
  /** What the pod of each claim wrote. */
  written: { "d/written.txt": "written", "big.jar": "big ".repeat(MIB / 8) },
} as const;

/** `again` stands on what the key meant, `based` on an Artifact; `committed` is on its way to the registry. */
export const claimNames = ["unstaged", "again", "based", "mounted", "committed"] as const;
export type ClaimName = (typeof claimNames)[number];

export class Wreck implements AsyncDisposable {
  readonly registry: RegistryDouble;
  readonly folder: string;
  readonly #claims = new Map<string, ClaimCalls>();
  references!: { readonly [name in "kept" | "idle" | "big"]: string };
  plugin!: Plugin;

  private constructor(registry: RegistryDouble, folder: string) {
    this.registry = registry;
    this.folder = folder;
  }

  /** Comes to pass: life after life of the plugin, the last of which ends with the power. */
  static async open(): Promise<Wreck> {
    const folder = await mkdtemp(path.join(os.tmpdir(), "larder-wreck-"));
    const wreck = new Wreck(await openRegistryDouble(), folder);
    const { registry } = wreck;
    wreck.references = {
      kept: await serveImage(registry, "kept", [{ "kept.txt": "kept" }, { "d/upper.txt": "upper" }]),
      idle: serveFiles(registry, "idle", contents.idle),
      big: serveFiles(registry, "big", contents.big),
    };
    await wreck.start();
    await wreck.#interruptPull();
    await wreck.plugin.stop();
    await wreck.start();
    await wreck.#live();
    await wreck.#losePower();
    return wreck;
  }

  get root(): string {
    return path.join(this.folder, "root");
  }

  async start(): Promise<void> {
    const { folder, registry } = this;
    this.plugin = await openClaimPlugin({
      folder,
      settings: { registries: [{ match: registry.host, plainHttp: true }], pull: { rangeBytes: "4Mi" } },
      environment: { NODE_COMPILE_CACHE: path.join(this.root, "compile") },
      compilesItself: true,
    });
  }

  /** As it was when the power went, and with no mount. */
  async restore(): Promise<void> {
    await this.#end();
    await rm(this.root, { recursive: true, force: true });
    await execa("cp", ["-a", this.#saved, this.root]);
  }

  /** The same name is the same volume of the same pod. */
  async volume(name: keyof Wreck["references"]): Promise<PodVolume> {
    const attributes = { reference: this.references[name] };
    return await podVolume(this.plugin, { attributes, id: `csi-${name}`, pod: `pod-${name}` });
  }

  claim(name: ClaimName | "seed"): ClaimCalls {
    const claim = this.#claims.get(name) ?? this.#cached(this, { name, parameters: this.#sourceOf(name) });
    this.#claims.set(name, claim);
    return claim;
  }

  /** One on another node that starts from the claim's version. */
  next(name: ClaimName, plugin: Plugin): ClaimCalls {
    // Of more than one, such as of a key that others used before, the newest.
    const version = this.registry.pushes.tags().findLast((tag) => tag.startsWith(`${keyOf(name)}.`));
    const from = `${this.registry.host}/caches/m2:${version}`;
    return this.#cached(
      { plugin },
      { name: `next-${name}`, parameters: { key: "next", policy: "pull", from } },
    );
  }

  #sourceOf(name: ClaimName | "seed") {
    return { key: keyOf(name), ...(name === "based" ? { from: this.references.kept } : {}) };
  }

  #cached(node: { readonly plugin: Plugin }, { name, parameters }: ClaimRequest): ClaimCalls {
    const repository = `${this.registry.host}/caches/\${cache}`;
    const said = { repository, cache: "m2", when: "always", ...parameters };
    return new ClaimCalls(node, { name, parameters: said });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.registry[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    await this.plugin.kill();
    for (const { at } of (await mountsUnder(this.folder)).toReversed()) await execa("umount", ["--lazy", at]);
  }

  get #saved(): string {
    return path.join(this.folder, "saved");
  }

  /** A stop in good order keeps what has come of it, for any boot. */
  async #interruptPull(): Promise<void> {
    const { registry } = this;
    const start = (range: unknown) => Number(/^bytes=(\d+)-/.exec(String(range))?.[1] ?? 0);
    const rest = registry.hold(({ headers }) => start(headers["range"]) >= 4 * MIB);
    const pull = (await this.volume("big")).publish().catch(() => undefined);
    const partials = path.join(this.root, "partials");
    await until(async () => {
      const [name = ""] = await namesIn(partials);
      const map = await readFile(path.join(partials, name, "map")).catch(() => Buffer.alloc(0));
      return map[512] === 1;
    }, "the map tells of the first chunk");
    const stopped = this.plugin.stop();
    await pull;
    await stopped;
    rest.release();
  }

  async #live(): Promise<void> {
    const [idle, kept] = [await this.volume("idle"), await this.volume("kept")];
    for (const volume of [idle, kept]) await insisting((options) => volume.publish(options));
    await idle.unpublish();
    const write = async (at: string) => await put(at, contents.written);
    await this.claim("seed").runPod((at) => put(at, contents.kept));
    await this.claim("seed").deleteAtLast();
    for (const name of ["unstaged", "again", "based", "committed"] as const)
      await this.claim(name).runPod(write);
    await write(await this.claim("mounted").mountAtLast("user"));
    await this.#untilSynced();
    this.registry.asked.length = 0;
    const push = this.registry.hold(({ method }) => method !== "GET" && method !== "HEAD");
    const committed = this.claim("committed");
    const deletion = committed.delete({ deadlineMs: 3_600_000 }).catch(() => undefined);
    const isSending = () => this.registry.asked.some(({ method }) => method === "POST");
    await until(isSending, "what was committed is being sent");
    await this.plugin.kill();
    await deletion;
    push.release();
  }

  async #untilSynced(): Promise<void> {
    const layers = path.join(this.root, "layers");
    await until(async () => {
      const records = (await namesIn(layers)).map((name) => path.join(layers, name, "layer.json"));
      return !(await Promise.all(records.map((at) => readFile(at, "utf8")))).some((text) =>
        text.includes('"boot"'),
      );
    }, "all that was pulled is synced");
  }

  async #losePower(): Promise<void> {
    await this.#end();
    await mkdir(path.join(this.root, "ingest", "half"), { recursive: true });
    await writeFile(path.join(this.root, "ingest", "half", "layer.json"), "{");
    const now = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const { stdout } = await execa("grep", ["-rlF", now, this.root], { reject: false });
    for (const file of stdout.split("\n").filter((name) => name !== "")) {
      const bytes = await readFile(file, "latin1");
      await writeFile(file, bytes.replaceAll(now, ANOTHER_BOOT), "latin1");
    }
    await execa("cp", ["-a", this.root, this.#saved]);
  }
}

const keyOf = (name: ClaimName | "seed") => (name === "again" ? "seed" : name);

async function put(at: string, files: Contents): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(at, name)), { recursive: true });
    await writeFile(path.join(at, name), content);
  }
}
