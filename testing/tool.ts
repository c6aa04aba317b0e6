// The pinned programs that tests run: built once, found by name.
import path from "node:path";
import { execa } from "execa";

const top = path.resolve(import.meta.dirname, "..");
const found = new Map<string, Promise<string>>();

/** The path of a program of `tools/`, built if it was not yet. */
export function tool(name: string): Promise<string> {
  const known = found.get(name) ?? build(name);
  found.set(name, known);
  return known;
}

async function build(name: string): Promise<string> {
  const { stdout } = await execa(path.join(top, "tools/build"), [name], {
    stdin: "ignore",
    stderr: "inherit",
  });
  return stdout.trim();
}
