import { spawnSync } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";

const busy = `
  const text = "export const f = (x: number): number => x;".repeat(100);
  for (let round = 0; round < 200; round++) require("node:module").stripTypeScriptTypes(text);`;

/** Which of V8's compilers of WebAssembly are at work where Node strips types. */
function compilersOf(...options: readonly string[]): ReadonlySet<string> {
  const args = ["--no-warnings", "--trace-wasm-compilation-times", ...options, "--eval", busy];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status).toBe(0);
  return new Set([...stdout.toLowerCase().matchAll(/liftoff|turbofan/g)].map(([name]) => name));
}

describe("tools/vm-node.cjs", { timeout: 120_000 }, () => {
  it("leaves Node no second compiler of WebAssembly, which it would take otherwise", () => {
    expect(compilersOf()).toEqual(new Set(["liftoff", "turbofan"]));
    expect(compilersOf("--require", path.join(import.meta.dirname, "vm-node.cjs"))).toEqual(
      new Set(["liftoff"]),
    );
  });
});
