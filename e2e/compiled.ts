// What the plugins of a test run share: their compiled code, which each would make anew under its new root.
import { existsSync } from "node:fs";
import { rename, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";

const main = path.resolve(import.meta.dirname, "..", "csi", "main.ts");

/** Puts it where the plugin is going to look, unless something is there; does nothing outside of a test run. */
export async function shareCompiled(place: string): Promise<void> {
  const shared = process.env["LARDER_TEST_COMPILED"];
  if (shared === undefined || existsSync(place)) return;
  if (!existsSync(shared)) await compile(shared);
  // Where it could not be made, each goes on by itself.
  if (existsSync(shared)) await symlink(path.join(shared, "compile"), place);
}

/** As a first start does. Whoever is second has made it in vain. */
async function compile(shared: string): Promise<void> {
  const made = `${shared}.${process.pid}`;
  await execa(process.execPath, [main, "compile"], { env: { LARDER_ROOT: made }, reject: false });
  await rename(made, shared).catch(() => undefined);
  await rm(made, { recursive: true, force: true });
}
