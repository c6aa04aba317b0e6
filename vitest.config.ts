// What runs as a test, and in what order of patience.
import path from "node:path";
import { defineConfig } from "vitest/config";

const rooms = ["lib", "csi", "tools", "testing", "e2e"];
/** tools/test-vm.ts asks for those that need a machine of their own: `vm.test` runs in it, `power.test` cuts its power. */
const tests = process.env["LARDER_TESTS"] ?? "test";
/** How many times slower than a machine of its own the emulated one is. */
const slowness = Number(process.env["LARDER_VM_SLOWNESS"] ?? 1);

export default defineConfig({
  test: {
    include: rooms.map((room) => `${room}/**/*.${tests}.ts`),
    exclude: tests === "test" ? ["**/*.vm.test.ts", "**/*.power.test.ts"] : [],
    pool: "forks",
    // The emulated machine sees this one's files, and cannot write to them.
    env: tests === "test" ? { LARDER_TEST_COMPILED: path.resolve(".cache/compiled") } : {},
    // Only for what hangs: no test is about how fast this machine is at the moment.
    testTimeout: 300_000 * slowness,
    hookTimeout: 300_000 * slowness,
    expect: { poll: { timeout: 60_000 * slowness, interval: 20 } },
    restoreMocks: true,
  },
});
