// What runs as a test, and in what order of patience. `*.vm.test.ts` runs in tools/vm only: it needs a machine of its own.
import { defineConfig } from "vitest/config";

const rooms = ["lib", "csi", "tools", "e2e"];
const inMachine = process.env["LARDER_VM_XFS"] !== undefined;
/** How many times slower than a machine of its own the emulated one is. */
const slowness = Number(process.env["LARDER_VM_SLOWNESS"] ?? 1);

export default defineConfig({
  test: {
    include: rooms.map((room) => `${room}/**/*.${inMachine ? "vm.test" : "test"}.ts`),
    exclude: inMachine ? [] : ["**/*.vm.test.ts"],
    pool: "forks",
    testTimeout: 60_000 * slowness,
    hookTimeout: 120_000 * slowness,
    restoreMocks: true,
  },
});
