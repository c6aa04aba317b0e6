// make bench-caches: real caches of real tools, apart from the machine's own mounts. `node bench/caches.ts E1 E3` does just these.
import path from "node:path";
import { runApart } from "../tools/namespace.ts";

const measure = path.resolve(import.meta.dirname, "measure-caches.ts");
process.exitCode = runApart(process.execPath, [measure, ...process.argv.slice(2)]);
