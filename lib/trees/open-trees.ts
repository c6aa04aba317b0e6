// Opens the node's store of Trees on its root, with the real ways of settling and sharing.
import { assembleLayers, cloneForGroup, cloneTree } from "../archive/clone-tree.ts";
import { settleLayer } from "../archive/settle.ts";
import { Store, type StoreDeps, type StoreSettings } from "./store.ts";
import { Trees } from "./trees.ts";

export type TreesDeps = Omit<StoreDeps, "settle" | "cloneTree" | "cloneForGroup" | "assemble">;

/**
 * Takes in what is under the root, which the caller has locked for life. `tend()` is the caller's to call now and
 * then; disposing ends flights so that the next start resumes them.
 */
export async function openTrees(deps: TreesDeps, root: string, settings: StoreSettings): Promise<Trees> {
  const store = new Store(
    {
      ...deps,
      settle: settleLayer,
      cloneForGroup,
      assemble: (layers, to) => assembleLayers(layers, to, { links: "hardlink" }),
      cloneTree: async (from, to) => {
        await cloneTree(from, to, { links: "hardlink" });
      },
    },
    root,
    settings,
  );
  await store.open();
  return new Trees(store);
}
