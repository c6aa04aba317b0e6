// make demo: the story, apart from the machine's own mounts.
import path from "node:path";
import { runApart } from "./namespace.ts";

process.exitCode = runApart(process.execPath, [path.resolve(import.meta.dirname, "../e2e/demo.ts")]);
