// One boot of a node whose power is cut under its claims, to be run in tools/vm's machine: `before` the cut, and `after`.
// It tells what it found in one line of JSON; e2e/claims.power.test.ts knows what that must be.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { RegistryDouble } from "../testing/registry-double.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import type { CsiError } from "./client.ts";
import { CutWriteBacks } from "./cut-write-backs.ts";
import { digestsIn, digestsOf, mountsUnder, namesIn, until } from "./node-state.ts";
import { projectsOn } from "./project-report.ts";

const MIB = 2 ** 20;
const disk = process.env["LARDER_VM_XFS"];
if (disk === undefined) throw new Error("this is for tools/vm's machine: LARDER_VM_XFS names no disk");
const folder = path.join(disk, "node");
const content = { "big.jar": "big ".repeat(MIB / 4), "d/small.pom": "small" };

// The machine has no network but its own loopback, so that the port is free; another would be another registry.
const registry = await new RegistryDouble().listen(5000);
await mkdir(folder, { recursive: true });
const environment = { NODE_COMPILE_CACHE: path.join(folder, "compile") };
const plugin = await openClaimPlugin({ folder, settings: { quota: "required" }, environment });
const cutWriteBacks = new CutWriteBacks(registry, path.join(disk, "cut"), environment);

/** A claim of a key of its own name. */
function claimOf(name: string, more: Readonly<Record<string, string>> = {}): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", key: name, when: "always", ...more };
  return new ClaimCalls({ plugin }, { name, parameters, alsoAfter: "UNAVAILABLE" });
}

const claims = {
  /** Deleted, and committed; its push has begun. */
  committed: claimOf("committed"),
  /** Used and let go in order. */
  unstaged: claimOf("unstaged"),
  /** Mounted in a pod that is writing. */
  mounted: claimOf("mounted"),
  volatile: claimOf("volatile", { durability: "volatile" }),
};

try {
  console.log(JSON.stringify(process.argv[2] === "before" ? await before() : await after()));
  process.exit(0);
} catch (error) {
  console.error(plugin.log.slice(-40).join("\n"));
  console.error(error);
  process.exit(1);
}

async function put(at: string, contents: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(path.dirname(path.join(at, name)), { recursive: true });
    await writeFile(path.join(at, name), text);
  }
}

async function before(): Promise<object> {
  await cutWriteBacks.begin();
  for (const claim of [claims.committed, claims.unstaged]) await claim.runPod((at) => put(at, content));
  registry.hold(({ method }) => method !== "GET" && method !== "HEAD");
  const deletion = claims.committed.delete({ deadlineMs: 3_600_000 }).catch((error: CsiError) => error.code);
  const isSending = () => registry.asked.some(({ method }) => method === "POST" || method === "PUT");
  await until(isSending, "what was committed is being sent");
  for (const claim of [claims.mounted, claims.volatile]) {
    const at = await claim.mountAtLast("user");
    await writeFile(path.join(at, "synced"), content["big.jar"], { flush: true });
    await writeFile(path.join(at, "unsynced"), content["big.jar"]);
  }
  void deletion;
  return { claims: (await namesIn(path.join(plugin.root, "claims"))).length };
}

async function after(): Promise<object> {
  const found = (await namesIn(path.join(plugin.root, "claims"))).length;
  claims.committed.id = await idOf("committed");
  await claims.committed.deleteAtLast();
  const unstaged = await seen(claims.unstaged, isWhole);
  const mounted = await seen(claims.mounted, async (at) => {
    const isThere = (await readFile(path.join(at, "synced"), "utf8")) === content["big.jar"];
    const unsynced = await readFile(path.join(at, "unsynced"), "utf8").catch(() => "");
    return { synced: isThere, unsynced: unsynced === content["big.jar"] };
  });
  const volatile = await seen(claims.volatile, namesIn);
  for (const claim of [claims.unstaged, claims.mounted, claims.volatile]) await claim.deleteAtLast();
  const tags = registry.pushes.tags().map((tag) => tag.replace(/\.\d+\.[a-z0-9]+$/, ".VERSION"));
  const cut = await cutWriteBacks.finish();
  const next = claimOf("next", { key: "committed", policy: "pull" });
  const committed = await seen(next, isWhole);
  await next.deleteAtLast();
  return {
    found,
    committed,
    unstaged,
    mounted,
    volatile,
    tags: tags.sort(),
    cut,
    errors: plugin.log.filter((line) => line.includes('"level":"error"')),
    ...(await remains()),
  };
}

/** Of one that is being deleted, and therefore cannot be made again. */
async function idOf(name: string): Promise<string> {
  const records = path.join(plugin.root, "claims");
  for (const id of await namesIn(records)) {
    const record = JSON.parse(await readFile(path.join(records, id), "utf8")) as { readonly name: string };
    if (record.name === name) return id;
  }
  throw new Error(`there is no claim "${name}"`);
}

async function isWhole(at: string): Promise<boolean> {
  return JSON.stringify(await digestsIn(at)) === JSON.stringify(digestsOf(content));
}

async function seen<T>(claim: ClaimCalls, look: (at: string) => Promise<T>): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  await claim.runPod(async (at) => resolve(await look(at)));
  return await promise;
}

async function remains(): Promise<object> {
  const limited = [...(await projectsOn(disk ?? ""))].filter(([, { limitBytes }]) => limitBytes > 0);
  const { root } = plugin;
  const names = await Promise.all(["claims", "volumes"].map((name) => namesIn(path.join(root, name))));
  return { left: names.flat().length, mounts: (await mountsUnder(root)).length, limited: limited.length };
}
