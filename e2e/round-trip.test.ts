// A cache with everything in it that a tree may have, through generations: the same here, elsewhere and for containerd.
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { orasCli } from "../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { openRegistryDouble } from "../testing/registry-double.ts";
import { setXattr } from "../testing/set-xattr.ts";
import { file, tar } from "../testing/tar-bytes.ts";
import { putImage } from "./artifact.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { openContainerd } from "./containerd.ts";
import type { Plugin } from "./plugin.ts";
import { attributesOf, type Facts, factsOf } from "./tree-facts.ts";

/** Renamed, since Node takes away what it listened at. */
const socketAt = (name: string) =>
  `"${process.execPath}" -e 'require("net").createServer().listen("now", () => { fs.renameSync("now", "${name}"); process.exit(); })'`;

const FILL = `
  umask 022
  mkdir -p d/e/f gone keep o/deep/er turn empty hollow/in "$(printf 'caf\\xc3\\xa9')"
  echo one > d/one; echo two > d/e/two; echo three > d/e/f/three; echo h > hollow/in/h
  echo x > gone/x; echo k > keep/k; ln keep/k keep/k2; ln -s ../keep/k d/link
  echo a > o/a; echo b > o/deep/b; echo c > o/deep/er/c
  echo file > kind; echo t > turn/t; mkfifo pipe
  chown 12:34 d/one; chmod 4755 d/e/two; chmod 1777 empty
  printf 'odd' > "$(printf 'n\\xff\\n=x')"; head -c 9000000 /dev/urandom > big
  truncate -s 20M sparse; printf mid | dd of=sparse bs=1 seek=9000000 conv=notrunc status=none
  echo s > d/set; chmod 6755 d/set; echo p > d/plug; echo t > d/tty
  mknod null c 1 3; mknod disk b 7 0; ${socketAt("plug")}
  touch -d '1999-01-02 03:04:05.123456789' d/one; touch -d '1970-01-02 00:00:00.5' kind
  touch -d '2001-01-01 00:00:00.1' d/e; touch -d '2002-02-02 00:00:00.000000002' .
`;
/** An opaque directory over a deep one, file to directory, directory to symlink, emptied and renamed ones, long names. */
const CHANGE = `
  echo more >> d/e/two; rm -r gone; rm -r o; mkdir o; echo new > o/n; rm -r hollow/in
  rm kind; mkdir kind; echo in > kind/in; rm -r turn; ln -s d turn; rm empty -r; mkdir empty
  mv big d/moved; mv d/e d/renamed; ln keep/k linked; chmod 600 d/one
  mkdir -p "$(printf 'long/%0200d/%0200d' 1 2)"; echo l > "$(printf 'long/%0200d/%0200d/%0200d' 1 2 3)"
  rm d/plug d/tty; mknod d/tty c 5 0; (cd d; ${socketAt("plug")})
  touch -d '2003-03-03' d/renamed; touch -d '2004-04-04 00:00:00.25' keep
`;
const AGAIN = `rm linked; echo x >> o/n; rm -r kind; echo f > kind; touch d/moved; rm turn; mkdir turn; rm d/renamed/two; echo p > d/plug; touch -d '2005-05-05' keep/k`;
const LAST = `echo again > o/n; mkdir hollow/in; echo back > hollow/in/h; chmod 700 turn; touch -d '2006-06-06 00:00:00.6' d`;
/** As the log names them, each once. */
const LEFT_OUT = [
  '"null": it is a device node',
  '"disk": it is a device node',
  '"plug": it is a socket',
  '"d/plug": it is a socket',
  '"d/tty": it is a device node',
];
type LeftOut = { readonly first: readonly string[] };
type Rule = "content" | "exact";
const RULES: readonly Rule[] = ["content", "exact"];

let open: AsyncDisposableStack;
let registry: RealRegistry;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
});
afterEach(async () => await open.disposeAsync());

let count = 0;
function claimOf(plugin: Plugin, rule: Rule, more: Readonly<Record<string, string>> = {}): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: rule, key: "main", when: "always", compare: rule, ...more };
  return new ClaimCalls({ plugin }, { name: `pvc-${++count}`, parameters, bytes: 256 * 2 ** 20 });
}

/** What the pod saw when it ended. */
async function change(plugin: Plugin, rule: Rule, script: string): Promise<Shown> {
  const claim = claimOf(plugin, rule);
  const seen = await seenBy(claim, (at) => {
    execFileSync("bash", ["-euc", script], { cwd: at, stdio: ["ignore", "ignore", "inherit"] });
    if (script === FILL) markAll(at);
  });
  await claim.deleteAtLast();
  return seen;
}

async function seenBy(claim: ClaimCalls, work: (at: string) => void): Promise<Shown> {
  let seen: Shown | undefined;
  await claim.runPod(async (at) => {
    work(at);
    seen = await look(at);
  });
  if (seen === undefined) throw new Error("the pod did not look");
  return seen;
}

function markAll(at: string): void {
  setXattr(path.join(at, "keep"), "k", "user.k", Buffer.from([0, 0xff, 0x3d, 0x0a, 0x31]));
  setXattr(path.join(at, "keep"), ".", "user.empty", Buffer.alloc(0));
  setXattr(path.join(at, "keep"), "k", "user.a=b", Buffer.from("odd"));
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
async function shownBy(plugin: Plugin, rule: Rule): Promise<Shown> {
  const claim = claimOf(plugin, rule, { policy: "pull" });
  const shown = await seenBy(claim, () => undefined);
  await claim.deleteAtLast();
  return shown;
}

/** What travels of it: no sockets and no device nodes, named by their type, which the mode begins with. */
function travelling(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => !/^(?:14|2|6)\d{4} /.test(fact)));
}

/** containerd gives every root the same mode, and passes over the attributes whose names plain records cannot say. */
function asContainerd(shown: Shown | undefined) {
  const { ".": _, ...content } = shown?.content ?? {};
  const { ".": __, ...exact } = shown?.exact ?? {};
  return { content, exact, attributes: shown?.attributes.filter((record) => !record.includes("%3D")) };
}

async function layersOfHead(rule: Rule): Promise<ReadonlyArray<{ readonly digest: string }>> {
  const accept = "application/vnd.oci.image.manifest.v1+json";
  const head = `http://${registry.host}/v2/caches/${rule}/manifests/main`;
  const answer = await fetch(head, { headers: { accept } });
  const { layers } = (await answer.json()) as { readonly layers: ReadonlyArray<{ digest: string }> };
  return layers;
}

/** Returns what the first of them shows. */
async function expectSame(nodes: readonly Plugin[], rule: Rule, seen: Shown): Promise<Shown> {
  const shown = await Promise.all(nodes.map((node) => shownBy(node, rule)));
  for (const one of shown) {
    expect(one[rule]).toEqual(travelling(seen[rule]));
    expect(one.attributes).toEqual(seen.attributes);
    expect(one).toEqual(shown[0]);
  }
  if (shown[0] === undefined) throw new Error("no node showed it");
  return shown[0];
}

it("a cache is the same for the next claim, on another node and unpacked by containerd, by content and exactly, through three generations and a compaction", async () => {
  const settings = { settings: { chain: { max: 3 } } };
  const node = open.use(await openClaimPlugin(settings));
  const containerd = open.use(await openContainerd());
  const layers: Array<readonly number[]> = [];
  const last = new Map<Rule, Shown>();
  for (const script of [FILL, CHANGE, AGAIN, LAST]) {
    const other = open.use(await openClaimPlugin(settings));
    const shown = await Promise.all(
      RULES.map(async (rule) => {
        const seen = await change(node, rule, script);
        return [rule, await expectSame([node, other], rule, seen)] as const;
      }),
    );
    for (const [rule, here] of shown) {
      const unpacked = await containerd.show(`${registry.host}/caches/${rule}:main`, look);
      expect(asContainerd(unpacked)).toEqual(asContainerd(here));
      last.set(rule, here);
    }
    layers.push((await Promise.all(RULES.map(layersOfHead))).map(({ length }) => length));
    await other[Symbol.asyncDispose]();
  }
  expect(layers).toEqual([1, 2, 3, 1].map((count) => [count, count]));
  const told = node.log
    .filter((line) => line.includes("no archive holds"))
    .flatMap((line) => (JSON.parse(line) as { readonly leftOut: LeftOut }).leftOut.first);
  expect(new Set(told)).toEqual(new Set(LEFT_OUT));
  await node.stop();
  await rm(node.root, { recursive: true });
  const wiped = open.use(await node.restart());
  for (const [rule, here] of last) await expectSame([wiped], rule, here);
});

it.each([false, true])(
  "what a claim wrote keeps its setuid bits, and what it began with where the node's setting %s says so",
  async (keepSetuid) => {
    const double = open.use(await openRegistryDouble());
    const image = [file("began", "b", { mode: 0o4755 }), file("both", "b", { mode: 0o2755 })];
    const { digest } = putImage(double, [tar(...image)]);
    const node = open.use(await openClaimPlugin({ settings: { pull: { keepSetuid } } }));
    const parameters = {
      repository: `${double.host}/a/\${cache}`,
      cache: "b",
      key: "main",
      when: "always",
      from: `${double.host}/a/b@${digest}`,
    };
    const claimAt = (plugin: Plugin, name: string) => new ClaimCalls({ plugin }, { name, parameters });
    const modes = (seen: Shown) =>
      ["began", "both", "wrote"].map((name) => seen.content[`./${name}`]?.split(" ")[0]);
    const first = claimAt(node, "first");
    const seen = await seenBy(first, (at) => {
      execFileSync("bash", ["-euc", "echo w > wrote; chmod 6711 wrote; echo >> both; chmod 4711 both"], {
        cwd: at,
      });
    });
    await first.deleteAtLast();
    expect(modes(seen)).toEqual([keepSetuid ? "104755" : "100755", "104711", "106711"]);
    const other = open.use(await openClaimPlugin({ settings: { pull: { keepSetuid } } }));
    for (const plugin of [node, other]) {
      const next = claimAt(plugin, "next");
      expect((await seenBy(next, () => undefined)).content).toEqual(seen.content);
      await next.deleteAtLast();
    }
  },
);

/** A portable archive has a file's second name as a link in its root alone. */
function unlinked(facts: Facts): Facts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [name, fact.replace(/ same as .*/, "")]),
  );
}

/** What plain ORAS makes of an entry: of what kind it is, what it holds, and who may do what with it. */
function asOras(facts: Facts): Facts {
  const entries = Object.entries(facts).flatMap(([name, fact]) => {
    const [mode = "", , ...rest] = fact.split(" ");
    // It passes fifos over, knows no owners, makes no file setuid, and leaves the directory as it is that it fills.
    if (name === ".") return [];
    if (mode.startsWith("10") && mode.length < 6) return [];
    return [[name, [mode.slice(0, -4), mode.slice(-3), ...rest].join(" ")] as const];
  });
  return Object.fromEntries(entries);
}

it("a portable cache with everything in it is the same here, elsewhere, unpacked by containerd and by plain oras pull", async () => {
  const node = open.use(await openClaimPlugin());
  const claim = claimOf(node, "content", { format: "portable" });
  const seen = await seenBy(claim, (at) => {
    const bash = (script: string) =>
      execFileSync("bash", ["-euc", script], { cwd: at, stdio: ["ignore", "ignore", "inherit"] });
    bash(FILL);
    markAll(at);
    bash(CHANGE);
    // Of this node, and nobody else's.
    setXattr(path.join(at, "keep"), "k", "trusted.of-here", Buffer.from("odd"));
    setXattr(path.join(at, "keep"), "k", "security.selinux", Buffer.from("odd"));
  });
  await claim.deleteAtLast();
  const here = await expectSame([node], "content", seen);
  const other = open.use(await openClaimPlugin());
  const there = await shownBy(other, "content");
  expect(unlinked(there.content)).toEqual(unlinked(here.content));
  expect(new Set(there.attributes)).toEqual(new Set(seen.attributes));
  expect(there.content["./linked"]).toContain("same as");
  const reference = `${registry.host}/caches/content:main`;
  const containerd = open.use(await openContainerd());
  expect(asContainerd(await containerd.show(reference, look))).toEqual(asContainerd(there));
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-portable-"));
  open.defer(async () => await rm(folder, { recursive: true }));
  await orasCli(folder, ["pull", "--plain-http", reference]);
  expect(asOras(factsOf(folder, "content"))).toEqual(asOras(there.content));
  const [layer] = await layersOfHead("content");
  const blob = await fetch(`http://${registry.host}/v2/caches/content/blobs/${layer?.digest}`);
  const archive = gunzipSync(await blob.arrayBuffer()).toString("latin1");
  expect(archive).toContain("SCHILY.xattr.user.k=");
  for (const name of ["trusted.of-here", "security.selinux"]) expect(archive).not.toContain(name);
});
