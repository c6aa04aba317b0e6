// Finds a path beneath a directory without following anything on the way.
import type { Directory, Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";

/** `parent` is the caller's to dispose of. */
export type Found = {
  readonly kind: "found";
  readonly parent: Directory;
  readonly name: Name;
  readonly status: EntryStatus;
};

/** `blocked`: so many components lead to something that is no directory. */
export type LookUp =
  | Found
  | { readonly kind: "absent" }
  | { readonly kind: "blocked"; readonly depth: number; readonly status: EntryStatus };

/** No component is the root itself. `visit` sees every directory on the way, the root included. */
export function lookUp(
  root: Directory,
  components: readonly Name[],
  visit?: (at: Directory) => void,
): LookUp {
  let parent = root.enter(".");
  let isHandedOver = false;
  try {
    visit?.(parent);
    for (const [at, name] of components.slice(0, -1).entries()) {
      const status = parent.find(name);
      if (status === undefined) return { kind: "absent" };
      if (status.type !== "directory") return { kind: "blocked", depth: at + 1, status };
      const next = parent.enter(name);
      parent[Symbol.dispose]();
      parent = next;
      visit?.(parent);
    }
    const name = components.at(-1) ?? ".";
    const status = parent.find(name);
    if (status === undefined) return { kind: "absent" };
    isHandedOver = true;
    return { kind: "found", parent, name, status };
  } finally {
    if (!isHandedOver) parent[Symbol.dispose]();
  }
}
