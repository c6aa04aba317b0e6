// containerd with a root of its own, as another reader of images: what it makes of one is shown by its own client.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { tool } from "../testing/tool.ts";
import { mountsUnder } from "./mounts.ts";

export type Containerd = AsyncDisposable & {
  /** Pulls and unpacks the image, and calls `look` with where it is mounted, read-only. */
  show<T>(reference: string, look: (at: string) => Promise<T>): Promise<T>;
};

/** The runtimes need what is not here, and take no part in a pull. */
const WITHOUT = [
  "cri.v1.runtime",
  "cri.v1.images",
  "grpc.v1.cri",
  "nri.v1.nri",
  "podsandbox.controller.v1.podsandbox",
];

/** Mounts, so the caller has a mount namespace of its own. */
export async function openContainerd(): Promise<Containerd> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-containerd-"));
  const socket = path.join(folder, "containerd.sock");
  const [program, ctr] = await Promise.all([tool("containerd"), tool("ctr")]);
  const config = path.join(folder, "config.toml");
  await writeFile(
    config,
    [
      "version = 3",
      `root = ${JSON.stringify(path.join(folder, "root"))}`,
      `state = ${JSON.stringify(path.join(folder, "state"))}`,
      `disabled_plugins = ${JSON.stringify(WITHOUT.map((name) => `io.containerd.${name}`))}`,
      "[grpc]",
      `address = ${JSON.stringify(socket)}`,
    ].join("\n"),
  );
  const daemon = spawn(program, ["--config", config, "--log-level", "error"], {
    stdio: "ignore",
    env: { PATH: process.env["PATH"] ?? "", HOME: folder },
  });
  const ended = once(daemon, "exit");
  const client = (...words: readonly string[]) =>
    execa(ctr, ["--address", socket, ...words], { stdin: "ignore" });
  await answering(() => client("version"), ended);
  let shown = 0;
  return {
    show: async (reference, look) => {
      // Each its own: it keeps what it has mounted by this name for some time.
      const target = path.join(folder, `shown-${++shown}`);
      await mkdir(target);
      await client("images", "pull", "--plain-http", "--snapshotter", "overlayfs", reference);
      await client("images", "mount", "--snapshotter", "overlayfs", reference, target);
      try {
        return await look(target);
      } finally {
        await client("images", "unmount", "--snapshotter", "overlayfs", "--rm", target);
      }
    },
    [Symbol.asyncDispose]: async () => {
      daemon.kill("SIGTERM");
      await ended;
      // What it leaves mounted for its next start.
      for (const { target } of (await mountsUnder(folder)).toReversed()) await execa("umount", [target]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answering(ask: () => Promise<unknown>, ended: Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      const over = await Promise.race([ended.then(() => true), pause(100).then(() => false)]);
      if (over) throw error;
    }
  }
}
