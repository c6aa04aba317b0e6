// make demo: the story, apart from the machine's own mounts.
import path from "node:path";
import { runApart } from "./namespace.ts";

// Ctrl-C is the story's, which takes everything down first.
process.on("SIGINT", () => {});
process.exitCode = runApart(process.execPath, [path.resolve(import.meta.dirname, "../e2e/demo.ts")]);
