// The ORAS CLI: `oras pull` into an empty folder, as a person or an init container would.

import path from "node:path";
import { execa } from "execa";
import { tool } from "../../testing/tool.ts";
import { checkTree } from "../check-tree.ts";
import type { Side } from "../cold.ts";

export const oras: Side = {
  name: "oras pull",
  bring: async (stage, artifact) => {
    const folder = await stage.folder();
    const program = await tool("oras");
    const output = path.join(folder, "output");
    const args = ["pull", "--plain-http", "--no-tty", "--output", output, artifact.reference];
    const began = performance.now();
    await execa(program, args, { stdin: "ignore", env: { HOME: folder } });
    const ms = performance.now() - began;
    await checkTree(output, artifact);
    await stage.drop(folder);
    return { ms };
  },
};
