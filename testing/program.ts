// Programs that stand on a test's PATH in place of the real ones.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Where it lies: a bash script of that name in the folder, which is made where it is missing. */
export function putProgram(folder: string, name: string, script: string): string {
  const file = path.join(folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `#!/usr/bin/env bash\n${script}\n`, { mode: 0o755 });
  return file;
}
