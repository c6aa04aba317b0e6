// make bench: every measurement, apart from the machine's own mounts. `npm run bench -- P1 P3` does just these.
import path from "node:path";
import { runApart } from "../tools/namespace.ts";

const measure = path.resolve(import.meta.dirname, "measure.ts");
process.exitCode = runApart(process.execPath, [measure, ...process.argv.slice(2)]);
