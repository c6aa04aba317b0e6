// The node plugin as csi/main.ts runs it, on a clock that is ahead by what stands in a file (LARDER_TEST_CLOCK), in ms.
import { readFileSync } from "node:fs";

// As csi/main.ts: modes are said wherever something is made.
process.umask(0);
const file = process.env["LARDER_TEST_CLOCK"];
if (file === undefined) throw new Error("LARDER_TEST_CLOCK does not name a file");
const { now: trueNow } = Date;
const now = () => trueNow() + Number(readFileSync(file, "utf8"));
// All that has a clock has this one, the deadlines of calls included: that is what a node's clock does, too.
globalThis.Date = new Proxy(Date, {
  construct: (real, args: unknown[]): object =>
    Reflect.construct(real, args.length === 0 ? [now()] : args) as object,
  get: (real, name) => (name === "now" ? now : (Reflect.get(real, name) as unknown)),
});
// Not before: modules take hold of the clock as they are read.
const { runPlugin } = await import("../run.ts");
try {
  await runPlugin(process.env);
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
