// Whether the tests may do what the plugin may.
import { readFileSync } from "node:fs";

/** Root over every id; root in a user namespace may make neither devices nor trusted attributes. */
export function isPrivileged(): boolean {
  return (
    process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295$/m.test(readFileSync("/proc/self/uid_map", "latin1"))
  );
}
