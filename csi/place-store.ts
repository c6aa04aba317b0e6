// Where this start finds the store, and the trash of the file system it is on.
import path from "node:path";
import type { NodeSettings } from "../lib/settings/node.ts";
import { Trash } from "../lib/trees/trash.ts";
import { type OpenedLimits, openLimits } from "../lib/volumes/open-limits.ts";
import { labelOf } from "./label.ts";
import type { Ports } from "./ports.ts";

export type PlacedStore = OpenedLimits & {
  readonly trash: Trash;
  /** For who looks whether the plugin is ready. */
  readonly notes: readonly string[];
};

export type PlacingPorts = Pick<Ports, "files" | "quotas" | "pools" | "selinux" | "log" | "remover">;

/** Safe to repeat. What it hands out has its label. Throws where the settings ask for what this node has not. */
export async function placeStore(settings: NodeSettings, ports: PlacingPorts): Promise<PlacedStore> {
  const outer = await openTrash(settings.root, ports);
  const discard = (at: string) => outer.take(at);
  const opened = await openLimits({ ...ports, discard }, settings);
  label(opened.root, settings, ports);
  const notes = opened.lacking === undefined ? [] : [`without size limits: ${opened.lacking}`];
  if (opened.root === settings.root) return { ...opened, notes, trash: outer };
  // What was there before the pool was, and may be on its way out since an earlier start.
  await outer.sweep();
  return { ...opened, notes, trash: await openTrash(opened.root, ports) };
}

async function openTrash(root: string, { files, log, remover }: PlacingPorts): Promise<Trash> {
  const directory = path.join(root, "trash");
  await files.makeDirectory(directory);
  const onTrouble = (message: string, error: unknown) => log.error(message, { error });
  return new Trash({ files, directory, removeTree: remover.removeTree, onTrouble });
}

function label(root: string, settings: NodeSettings, ports: PlacingPorts): void {
  const { context } = labelOf(settings, ports);
  if (context === undefined) return;
  ports.selinux.labelDirectory(root, context);
  ports.log.info("Labelled the store for SELinux", { context });
}
