// A cache with everything in it that a tree may have, through generations: the same here, elsewhere and for containerd.
import { execFileSync } from "node:child_process";
import { rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { setXattr } from "../testing/set-xattr.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { type Containerd, openContainerd } from "./containerd.ts";
import type { Plugin } from "./plugin.ts";
import { attributesOf, type Facts, factsOf } from "./tree-facts.ts";

const FILL = `
  umask 022
  mkdir -p d/e/f gone keep o/deep/er turn empty hollow/in "$(printf 'caf\\xc3\\xa9')"
  echo one > d/one; echo two > d/e/two; echo three > d/e/f/three; echo h > hollow/in/h
  echo x > gone/x; echo k > keep/k; ln keep/k keep/k2; ln -s ../keep/k d/link
  echo a > o/a; echo b > o/deep/b; echo c > o/deep/er/c
  echo file > kind; echo t > turn/t; mkfifo pipe
  chown 12:34 d/one; chmod 4755 d/e/two; chmod 1777 empty
  printf 'odd' > "$(printf 'n\\xff\\n=x')"; head -c 3000000 /dev/urandom > big
  truncate -s 20M sparse; printf mid | dd of=sparse bs=1 seek=9000000 conv=notrunc status=none
  touch -d '1999-01-02 03:04:05.123456789' d/one; touch -d '1970-01-02 00:00:00.5' kind
`;
/** An opaque directory over a deep one, file to directory, directory to symlink, emptied and renamed ones, long names. */
const CHANGE = `
  echo more >> d/e/two; rm -r gone; rm -r o; mkdir o; echo new > o/n; rm -r hollow/in
  rm kind; mkdir kind; echo in > kind/in; rm -r turn; ln -s d turn; rm empty -r; mkdir empty
  mv big d/moved; mv d/e d/renamed; ln keep/k linked; chmod 600 d/one
  mkdir -p "$(printf 'long/%0200d/%0200d' 1 2)"; echo l > "$(printf 'long/%0200d/%0200d/%0200d' 1 2 3)"
`;
const AGAIN = `rm linked; echo x >> o/n; rm -r kind; echo f > kind; touch d/moved; rm turn; mkdir turn; rm d/renamed/two`;
const LAST = `echo again > o/n; mkdir hollow/in; echo back > hollow/in/h; chmod 700 turn`;

let open: AsyncDisposableStack;
let registry: RealRegistry;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
});
afterEach(async () => await open.disposeAsync());

let count = 0;
function claimOf(plugin: Plugin, more: Readonly<Record<string, string>> = {}): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "all", key: "main", when: "always", ...more };
  return new ClaimCalls({ plugin }, { name: `pvc-${++count}`, parameters, bytes: 256 * 2 ** 20 });
}

/** What the pod saw when it ended. */
async function change(plugin: Plugin, script: string): Promise<Facts> {
  const claim = claimOf(plugin);
  let seen: Facts = {};
  await claim.runPod(async (at) => {
    execFileSync("bash", ["-euc", script], { cwd: at, stdio: ["ignore", "ignore", "inherit"] });
    if (script === FILL) markAll(at);
    seen = factsOf(at, "content");
  });
  await claim.deleteAtLast();
  return seen;
}

function markAll(at: string): void {
  setXattr(path.join(at, "keep"), "k", "user.k", Buffer.from([0, 0xff, 0x3d, 0x0a, 0x31]));
  setXattr(path.join(at, "keep"), ".", "user.empty", Buffer.alloc(0));
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  setXattr(path.join(at, "d/e/f"), "three", "security.capability", capability);
}

type Shown = { readonly content: Facts; readonly exact: Facts; readonly attributes: readonly string[] };

const look = async (at: string): Promise<Shown> => ({
  content: factsOf(at, "content"),
  exact: factsOf(at, "exact"),
  attributes: await attributesOf(at),
});

/** What a claim shows that begins now. */
async function shownBy(plugin: Plugin): Promise<Shown> {
  const claim = claimOf(plugin, { policy: "pull" });
  let shown: Shown | undefined;
  await claim.runPod(async (at) => {
    shown = await look(at);
  });
  await claim.deleteAtLast();
  if (shown === undefined) throw new Error("the pod did not look");
  return shown;
}

/** containerd gives every root the same mode. */
function rootless(shown: Shown | undefined) {
  const { ".": _, ...content } = shown?.content ?? {};
  const { ".": __, ...exact } = shown?.exact ?? {};
  return { content, exact, attributes: shown?.attributes };
}

async function layersOfHead(): Promise<number> {
  const accept = "application/vnd.oci.image.manifest.v1+json";
  const answer = await fetch(`http://${registry.host}/v2/caches/all/manifests/main`, { headers: { accept } });
  return ((await answer.json()) as { readonly layers: readonly unknown[] }).layers.length;
}

async function expectSame(nodes: readonly Plugin[], containerd: Containerd, seen: Facts): Promise<void> {
  const shown = await Promise.all(nodes.map(shownBy));
  for (const one of shown) {
    expect(one.content).toEqual(seen);
    expect(one).toEqual(shown[0]);
    for (const key of ["user.k", "user.empty", "security.capability"])
      expect(one.attributes.join()).toContain(key);
  }
  const unpacked = await containerd.show(`${registry.host}/caches/all:main`, look);
  expect(rootless(unpacked)).toEqual(rootless(shown[0]));
}

it("a cache is the same for the next claim, on another node and unpacked by containerd, through three generations and a compaction", async () => {
  const settings = { settings: { chain: { max: 3 }, pull: { keepSetuid: true } } };
  const node = open.use(await openClaimPlugin(settings));
  const containerd = open.use(await openContainerd());
  const layers: number[] = [];
  for (const script of [FILL, CHANGE, AGAIN, LAST]) {
    const seen = await change(node, script);
    layers.push(await layersOfHead());
    const other = open.use(await openClaimPlugin(settings));
    await expectSame([node, other], containerd, seen);
    await other[Symbol.asyncDispose]();
  }
  expect(layers).toEqual([1, 2, 3, 1]);
  const seen = (await shownBy(node)).content;
  await node.stop();
  await rm(node.root, { recursive: true });
  const wiped = open.use(await node.restart());
  await expectSame([wiped], containerd, seen);
});
