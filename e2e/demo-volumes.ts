// The first half of the story: artifacts made with the plain ORAS CLI become volumes.
import { copyFile, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { type RealRegistry, registryUser } from "../testing/real-registry.ts";
import { contentOf, makeFolders } from "./demo-files.ts";
import { refusal, say, step } from "./demo-voice.ts";
import { writeImageLayout } from "./image.ts";
import type { Plugin } from "./plugin.ts";
import { type PodVolume, podVolume, pullSecret } from "./volume.ts";

export type Stage = {
  readonly folder: string;
  readonly oras: string;
  readonly open: RealRegistry;
  readonly closed: RealRegistry;
};

export async function makeArtifacts({ folder, oras, open, closed }: Stage): Promise<void> {
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

async function readOn(plugin: Plugin, { open, folder }: Stage): Promise<PodVolume[]> {
  say("\nA pod names an artifact and finds it mounted:");
  const dataset = await mounted(plugin, "2,000 files", `${open.host}/team/dataset:v1`);
  say(`    ${await contentOf(dataset.target)}, at the pod's own path`);
  const again = await podVolume(plugin, { attributes: { reference: `${open.host}/team/dataset:v1` } });
  await step("the same for a second pod, already on the node", () => again.publish());
  const program = await mounted(plugin, "a program", `${open.host}/team/tool:v1`);
  const { stdout } = await execa(path.join(program.target, "tool"), ["version"], { env: { HOME: folder } });
  say(`    it runs: "${stdout.split("\n")[0]}"`);
  const image = await mounted(plugin, "an image of 13 layers", `${open.host}/team/image:v1`);
  const platform = await readFile(path.join(image.target, "etc", "platform"), "utf8");
  say(`    picked from its index: ${platform.trim()}; 13 layers merged: ${await contentOf(image.target)}`);
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

/** The volumes that are mounted now. */
export async function tellVolumes(plugin: Plugin, stage: Stage): Promise<PodVolume[]> {
  const volumes = await readOn(plugin, stage);
  return [...volumes, await refusals(plugin, stage, volumes[0] as PodVolume)];
}
