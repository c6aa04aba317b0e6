// The node plugin as csi/main.ts runs it, with a fuse (its file is named by LARDER_TEST_FUSE) in every effect.
import { runPlugin } from "../run.ts";
import { openFuse, wrapWithFuse } from "./fuse.ts";

// As csi/main.ts: modes are said wherever something is made.
process.umask(0);
const file = process.env["LARDER_TEST_FUSE"];
if (file === undefined) throw new Error("LARDER_TEST_FUSE does not name a file");
const burn = openFuse(file);
try {
  await runPlugin(process.env, (outside) => wrapWithFuse(outside, burn));
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
