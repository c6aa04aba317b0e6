// containerd: a pull with unpacking into overlayfs snapshots, by its own client, against a daemon that holds nothing.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { tool } from "../../testing/tool.ts";
import type { Side } from "../cold.ts";
import { openDaemon } from "./daemon.ts";

/** All but the runtimes, which need what is not here and take no part in a pull. */
function configOf(folder: string, socket: string): string {
  const without = [
    "cri.v1.runtime",
    "cri.v1.images",
    "grpc.v1.cri",
    "nri.v1.nri",
    "podsandbox.controller.v1.podsandbox",
  ];
  return [
    "version = 3",
    `root = ${JSON.stringify(path.join(folder, "root"))}`,
    `state = ${JSON.stringify(path.join(folder, "state"))}`,
    `disabled_plugins = ${JSON.stringify(without.map((name) => `io.containerd.${name}`))}`,
    "[grpc]",
    `address = ${JSON.stringify(socket)}`,
  ].join("\n");
}

export const containerd: Side = {
  name: "containerd",
  bring: async (stage, artifact) => {
    const folder = await stage.folder();
    const socket = path.join(folder, "containerd.sock");
    const config = path.join(folder, "config.toml");
    const [program, ctr] = await Promise.all([tool("containerd"), tool("ctr")]);
    await writeFile(config, configOf(folder, socket));
    const args = ["--config", config, "--log-level", "error"];
    let ms: number;
    {
      await using daemon = await openDaemon({ program, args, environment: { HOME: folder }, socket });
      const client = (...words: readonly string[]) =>
        execa(ctr, ["--address", socket, ...words], { stdin: "ignore" });
      const began = performance.now();
      await client("images", "pull", "--plain-http", artifact.reference);
      ms = performance.now() - began;
      const { stdout } = await client("snapshots", "list");
      const unpacked = stdout.split("\n").filter((line) => line.includes("Committed")).length;
      if (unpacked !== 12)
        throw new Error(`containerd (process ${daemon.pid}) unpacked ${unpacked} layers of 12`);
    }
    await stage.drop(folder);
    return { ms };
  },
};
