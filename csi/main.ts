// The node plugin's entry: begins under the options it wants, runs the plugin, and ends with a status.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";

/** The argument with which it only compiles. */
const COMPILE = "compile";

beginFrugally();
if (process.argv[2] === COMPILE) await import("./compile.ts");
// Modes are said wherever something is made.
process.umask(0);
const { isFailure } = await import("../lib/core/failure.ts");
try {
  const { runPlugin } = await import("./run.ts");
  await runPlugin(process.env);
  process.exit(0);
} catch (error) {
  console.error(isFailure(error) ? error.message : error);
  process.exit(1);
}

/**
 * Begins again as the same process under the options that Node takes only at its start: types are stripped once, before
 * the first start, which saves a second at every other, and young objects get less room, which together save 40 MB.
 */
function beginFrugally(): void {
  if (process.env["NODE_COMPILE_CACHE"] !== undefined || process.execve === undefined) return;
  const cache = path.join(process.env["LARDER_ROOT"] ?? "/var/lib/larder", "compile");
  const made = makeCache(cache);
  const options = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=2"];
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: cache,
    ...(made === "impossible" ? { NODE_DISABLE_COMPILE_CACHE: "1" } : {}),
    UV_THREADPOOL_SIZE: process.env["UV_THREADPOOL_SIZE"] ?? "8",
  };
  if (made === "new")
    spawnSync(process.execPath, [...options, import.meta.filename, COMPILE], {
      env,
      stdio: "ignore",
      timeout: 60_000,
    });
  process.execve(process.execPath, [process.execPath, ...options, ...process.argv.slice(1)], env);
}

/** By steps: where a file system takes no directories, such as under /proc, Node's own way goes round for ever. */
function makeCache(cache: string): "new" | "there" | "impossible" {
  let made: "new" | "there" = "new";
  for (const directory of [path.dirname(cache), cache]) {
    try {
      mkdirSync(directory, { mode: 0o700 });
      made = "new";
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) return "impossible";
      made = "there";
    }
  }
  return made;
}
