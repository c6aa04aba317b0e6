// The SELinux label of the store, and of what is mounted from it.
import type { NodeSettings } from "../lib/settings/node.ts";
import type { Ports } from "./ports.ts";

/** None where the node has no SELinux. */
export function labelOf(
  { selinux: { context } }: NodeSettings,
  { selinux }: Pick<Ports, "selinux">,
): { readonly context?: string } {
  return selinux.isOn ? { context } : {};
}
