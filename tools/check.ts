// make check: types, lint, format and dead code, each reported before the verdict. (Rooms are held by a test.)
import { spawnSync } from "node:child_process";

const steps: ReadonlyArray<readonly [name: string, command: string, ...args: string[]]> = [
  ["types", "tsc", "--noEmit"],
  ["lint", "oxlint", "--type-aware", "--deny-warnings", "--report-unused-disable-directives-severity=error"],
  ["format", "biome", "check", "--linter-enabled=false", "."],
  ["dead code", "knip", "--no-progress", "--no-config-hints"],
  ["rooms", "vitest", "run", "tools/rooms.test.ts", "--reporter=dot"],
];

const failed = steps.filter(([name, command, ...args]) => {
  console.log(`check: ${name}`);
  return spawnSync(command, args, { stdio: "inherit" }).status !== 0;
});
if (failed.length > 0) {
  console.error(`check failed: ${failed.map(([name]) => name).join(", ")}`);
  process.exit(1);
}
console.log("check: clean");
