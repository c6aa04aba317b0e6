// make demo: the whole story on one machine, with a real registry, real mounts and the figures as they were.
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { openRealRegistry, type RealRegistry, registryUser } from "../testing/real-registry.ts";
import { tool } from "../testing/tool.ts";
import { bytesOf, countFiles, makeFolders } from "./demo-files.ts";
import { writeImageLayout } from "./image.ts";
import { mountsUnder } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { type PodVolume, podVolume, pullSecret } from "./volume.ts";

const say = (text = "") => console.log(text);
const ms = (from: number) => `${(performance.now() - from).toFixed(0)} ms`;

/** Says what is being done, does it, and says how long it took: on a terminal and in a log alike. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  process.stdout.write(`  ${what} …`);
  const beat = setInterval(() => process.stdout.write("."), 2_000);
  try {
    const result = await work();
    say(` ${ms(began)}`);
    return result;
  } catch (error) {
    say(" failed");
    throw error;
  } finally {
    clearInterval(beat);
  }
}

type Stage = {
  readonly folder: string;
  readonly oras: string;
  readonly open: RealRegistry;
  readonly closed: RealRegistry;
};

async function makeArtifacts({ folder, oras, open, closed }: Stage): Promise<void> {
  const run = (args: readonly string[], input?: string) =>
    execa(oras, args, { cwd: folder, env: { HOME: folder }, ...(input === undefined ? {} : { input }) });
  await step("oras push: a folder of 2,000 files", async () => {
    await makeFolders(path.join(folder, "dataset"), 2_000);
    return await run(["push", "--plain-http", `${open.host}/team/dataset:v1`, "dataset/"]);
  });
  await step("oras push: a program, its mode in an annotation", async () => {
    await copyFile(oras, path.join(folder, "tool"));
    const annotations = { tool: { "dev.larder.file.mode": "0755" } };
    await writeFile(path.join(folder, "annotations.json"), JSON.stringify(annotations));
    return await run([
      "push",
      "--plain-http",
      "--annotation-file",
      "annotations.json",
      `${open.host}/team/tool:v1`,
      "tool",
    ]);
  });
  await step("oras cp: an image of 13 layers for two platforms", async () => {
    const layers = Array.from({ length: 12 }, (_, index) => path.join(folder, "layers", `${index}`));
    for (const [index, layer] of layers.entries()) await makeFolders(path.join(layer, `part-${index}`), 200);
    const layout = await writeImageLayout(path.join(folder, "image"), layers);
    return await run([
      "cp",
      "--from-oci-layout",
      "--to-plain-http",
      `${layout.folder}:v1`,
      `${open.host}/team/image:v1`,
    ]);
  });
  await step("oras push: a secret, to a registry that asks for a password", async () => {
    await writeFile(path.join(folder, "secret.txt"), "for the team only\n");
    const login = ["--username", registryUser.username, "--password-stdin"];
    return await run(
      ["push", "--plain-http", ...login, `${closed.host}/team/secret:v1`, "secret.txt"],
      registryUser.password,
    );
  });
}

async function mounted(plugin: Plugin, title: string, reference: string): Promise<PodVolume> {
  const volume = await podVolume(plugin, { attributes: { reference } });
  await step(`${title}: NodePublishVolume`, () => volume.publish());
  return volume;
}

async function refusal(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    say(`  ${what}:\n    ${code}: ${message}`);
    return;
  }
  throw new Error(`${what} should have been refused, and was not`);
}

async function readOn(plugin: Plugin, { open, folder }: Stage): Promise<PodVolume[]> {
  say("\nA pod names an artifact and finds it mounted:");
  const dataset = await mounted(plugin, "2,000 files", `${open.host}/team/dataset:v1`);
  const { files, bytes } = await countFiles(dataset.target);
  say(`    ${files} files, ${bytesOf(bytes)}, at the pod's own path`);
  const again = await podVolume(plugin, { attributes: { reference: `${open.host}/team/dataset:v1` } });
  await step("the same for a second pod, already on the node", () => again.publish());
  const program = await mounted(plugin, "a program", `${open.host}/team/tool:v1`);
  const { stdout } = await execa(path.join(program.target, "tool"), ["version"], { env: { HOME: folder } });
  say(`    it runs: "${stdout.split("\n")[0]}"`);
  const image = await mounted(plugin, "an image of 13 layers", `${open.host}/team/image:v1`);
  const platform = await readFile(path.join(image.target, "etc", "platform"), "utf8");
  say(
    `    picked from its index: ${platform.trim()}; ${(await countFiles(image.target)).files} files of 13 layers merged`,
  );
  return [dataset, again, program, image];
}

async function refusals(plugin: Plugin, { open, closed }: Stage, volume: PodVolume): Promise<PodVolume> {
  say("\nWhat is refused, in the words a pod's owner would see:");
  await refusal("writing into the volume", () => writeFile(path.join(volume.target, "mine"), "x"));
  const typo = await podVolume(plugin, { attributes: { reference: `${open.host}/team/datset:v1` } });
  await refusal("a wrong name", () => typo.publish());
  const reference = `${closed.host}/team/secret:v1`;
  const wrong = await podVolume(plugin, {
    attributes: { reference },
    secrets: pullSecret(closed.host, registryUser.username, "guess"),
  });
  await refusal("a wrong password", () => wrong.publish());
  const right = await podVolume(plugin, {
    attributes: { reference },
    secrets: pullSecret(closed.host, registryUser.username, registryUser.password),
  });
  await step("the right password", () => right.publish());
  return right;
}

async function takeDown(plugin: Plugin, volumes: readonly PodVolume[]): Promise<void> {
  say("\nEverything is taken down:");
  await step(`${volumes.length} volumes: NodeUnpublishVolume`, async () => {
    for (const volume of volumes) await volume.unpublish();
  });
  const left = await mountsUnder(plugin.folder);
  const status = await step("the plugin: SIGTERM", () => plugin.stop());
  say(`    ${left.length} mounts left, exit status ${status}`);
  if (left.length > 0 || status !== 0)
    throw new Error(
      `something was left behind: ${left.map(({ target }) => target).join(", ") || `status ${status}`}`,
    );
}

const folder = await mkdtemp(path.join(os.tmpdir(), "larder-demo-"));
try {
  say(
    "Larder: OCI artifacts become volumes\n\nA registry on loopback, and artifacts made with the plain ORAS CLI:",
  );
  await mkdir(path.join(folder, "home"));
  await chmod(folder, 0o755);
  const oras = await tool("oras");
  await using open = await step("two registries start (one asks for a password)", () => openRealRegistry());
  await using closed = await openRealRegistry({ password: true });
  const stage = { folder, oras, open, closed };
  await makeArtifacts(stage);
  const registries = [open, closed].map(({ host }) => ({ match: host, plainHttp: true }));
  say("\nThe node plugin, as a node runs it:");
  await using plugin = await step("it starts and answers on its socket", () =>
    openPlugin({ settings: { registries } }),
  );
  const volumes = await readOn(plugin, stage);
  const secret = await refusals(plugin, stage, volumes[0] as PodVolume);
  await takeDown(plugin, [...volumes, secret]);
  say("\nThat was the read-only half. The README has the YAML for a cluster.");
} finally {
  await rm(folder, { recursive: true, force: true });
}
