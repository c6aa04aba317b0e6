// The second half of the story: a claim starts from its cache, and goes back to the registry when it is deleted.
import { appendFile, mkdir, open, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { type Claim, claim } from "./claim.ts";
import { endPlugin } from "./demo-end.ts";
import { bytesOf, contentOf, makeFolders } from "./demo-files.ts";
import { say, step } from "./demo-voice.ts";
import type { Stage } from "./demo-volumes.ts";
import { openPlugin, type Plugin, type PluginOptions } from "./plugin.ts";

const LIMIT = 64 * 2 ** 20;

type Told = { readonly stage: Stage; readonly parameters: Readonly<Record<string, string>> };

/** All of it, and the second node that it needs. */
export async function tellClaims(plugin: Plugin, stage: Stage, options: PluginOptions): Promise<void> {
  const parameters = {
    repository: `${stage.open.host}/caches/\${namespace}/\${cache}`,
    cache: "modules",
    key: "main",
    when: "always",
  };
  const told = { stage, parameters };
  await tellFirst(plugin, told);
  await tellSecond(plugin, told);
  await tellOtherNode(told, options);
  await tellPortable(plugin, told);
}

async function tellFirst(plugin: Plugin, { parameters }: Told): Promise<void> {
  say("\nA claim names a cache that does not exist yet, and starts empty:");
  const first = await mounted(plugin, "CreateVolume, NodeStageVolume, NodePublishVolume", parameters);
  await step("a build fills it: 3,000 files", () => makeFolders(path.join(first.target, "modules"), 3_000));
  await tellLimit(plugin, first);
  await writtenBack(plugin, first);
}

/** The limit as `df` shows it and the write that hits it; or why there is none here. */
export async function tellLimit(plugin: Plugin, { target }: Pick<Claim, "target">): Promise<void> {
  const { blocks, bsize } = await statfs(target);
  const { stdout } = await execa("df", ["--human-readable", "--output=size,used,avail,pcent", target]);
  say(`    df: ${stdout.split("\n").slice(1).join().trim().replaceAll(/ +/g, "  ")} (size, used, free, use)`);
  if (blocks * bsize === LIMIT) {
    const at = path.join(target, "too-much");
    const { code, written } = await fill(at);
    say(`    a write beyond the limit: ${code} after ${bytesOf(written)} more`);
    await execa("rm", [at]);
    return;
  }
  const [warning] = plugin.log
    .map((line) => JSON.parse(line) as { readonly message?: string; readonly why?: string })
    .filter(({ message }) => message?.startsWith("Sizes of claims"));
  say(`    that is the whole disk: ${warning?.why ?? "the plugin does not say why"}`);
  say("    make test-vm shows the limit on a kernel that has them");
}

async function fill(at: string): Promise<{ readonly code: string; readonly written: number }> {
  const file = await open(at, "w");
  const chunk = Buffer.alloc(2 ** 20, "x");
  let written = 0;
  try {
    for (; written <= 2 * LIMIT; written += chunk.length) await file.write(chunk);
    throw new Error("a claim took twice its limit");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { code, written };
  } finally {
    await file.close();
  }
}

async function tellSecond(plugin: Plugin, { parameters }: Told): Promise<void> {
  say("\nThe next claim of that cache has it all:");
  const second = await mounted(plugin, "CreateVolume, NodeStageVolume, NodePublishVolume", parameters);
  await tellContent(second);
  await step("one small change: a line in one file, and a new file", async () => {
    await appendFile(path.join(second.target, "modules", "d0", "f0.txt"), "one more line\n");
    await writeFile(path.join(second.target, "new.txt"), "new\n");
  });
  await writtenBack(plugin, second);
}

async function tellOtherNode({ parameters }: Told, options: PluginOptions): Promise<void> {
  say("\nAnother node, which has nothing yet:");
  await using other = await step("its plugin starts", () =>
    openPlugin({ ...options, environment: { LARDER_NODE: "node-2" } }),
  );
  const third = await mounted(other, "the cache, back from the registry", { ...parameters, policy: "pull" });
  await tellContent(third);
  await step("deleted; it was only to be read", async () => {
    await third.unmount();
    await third.remove();
  });
  await endPlugin(other);
}

async function tellPortable(plugin: Plugin, { stage, parameters }: Told): Promise<void> {
  say("\nThe same cache as one layer that plain `oras pull` unpacks (format: portable):");
  const portable = { ...parameters, key: "plain", "restore-keys": "main", format: "portable" };
  const last = await mounted(plugin, "a claim with a key of its own, starting from the other", portable);
  await step("one more file", () => writeFile(path.join(last.target, "portable.txt"), "portable\n"));
  await writtenBack(plugin, last);
  const pulled = path.join(stage.folder, "pulled");
  await mkdir(pulled);
  const reference = `${stage.open.host}/caches/default/modules:plain`;
  await step(`oras pull …/caches/default/modules:plain`, () =>
    execa(stage.oras, ["pull", "--plain-http", reference], { cwd: pulled, env: { HOME: stage.folder } }),
  );
  say(`    ${await contentOf(pulled)}`);
}

async function mounted(plugin: Plugin, what: string, parameters: Told["parameters"]): Promise<Claim> {
  return await step(what, async () => {
    const made = await claim(plugin, { parameters, bytes: LIMIT });
    await made.mount();
    return made;
  });
}

async function tellContent({ target }: Claim): Promise<void> {
  say(`    ${await contentOf(target)}, writable`);
}

async function writtenBack(plugin: Plugin, made: Claim): Promise<void> {
  await step("the pod ends: NodeUnpublishVolume, NodeUnstageVolume", () => made.unmount());
  await step("DeleteVolume, until the registry has confirmed", () => made.remove());
  const line = plugin.log
    .map((text) => JSON.parse(text) as { volume?: string; sentBytes?: number; version?: string })
    .find(({ volume, sentBytes }) => volume === made.id && sentBytes !== undefined);
  if (line === undefined) throw new Error(`the log does not tell that ${made.id} was written back`);
  say(`    pushed ${bytesOf(line.sentBytes ?? 0)} as ${line.version}`);
}
