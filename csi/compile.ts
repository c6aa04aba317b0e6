// Has all sources compiled and kept, in a process of its own: what reads types takes 26 MB that are never given back.
import { globSync } from "node:fs";
import path from "node:path";

await import("./run.ts");
const top = path.resolve(import.meta.dirname, "..");
// One outside its thread says so and stops, which is after it was compiled.
for (const worker of globSync("lib/**/*.worker.ts", { cwd: top }))
  await import(path.join(top, worker)).catch(() => undefined);
process.exit(0);
