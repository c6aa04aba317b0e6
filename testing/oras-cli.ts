// The plain ORAS CLI, as a person would type it, for tests that need artifacts in a registry.
import os from "node:os";
import { execa } from "execa";
import { tool } from "./tool.ts";

/** Runs `oras ARGUMENTS` in `cwd` without this machine's own credentials, and returns what it printed. */
export async function orasCli(
  cwd: string,
  args: readonly string[],
  options: { readonly input?: string | Uint8Array } = {},
): Promise<string> {
  const { stdout } = await execa(await tool("oras"), args, {
    cwd,
    extendEnv: false,
    env: { HOME: "/nonexistent", TMPDIR: os.tmpdir() },
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
  });
  return stdout;
}
