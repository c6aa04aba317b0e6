// Sets an extended attribute, for tests that are black boxes otherwise: Node has no call for it, nor has every machine a tool.
import { Directory } from "../lib/host/directory.ts";
import { writeXattr } from "../lib/host/xattrs.ts";

export function setXattr(directory: string, name: string, key: string, value: Uint8Array): void {
  using opened = Directory.open(directory);
  writeXattr({ directory: opened, name }, key, value);
}
