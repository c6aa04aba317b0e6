// What a refused or ended volume must not leave behind.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { expect, vi } from "vitest";
import type { CallOptions, CsiError } from "./client.ts";
import { mountsUnder } from "./mounts.ts";
import type { Plugin } from "./plugin.ts";

export type Refusal = { readonly code: string; readonly message: string };

/** How a call was refused. Throws when it was granted. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const granted = Symbol("granted");
  const end = await call.then(
    () => granted,
    (error: CsiError) => ({ code: error.code, message: error.message }),
  );
  if (typeof end === "symbol") throw new Error("the call was granted, and should have been refused");
  return end;
}

/**
 * How a publish is answered that does not end by itself, before its caller's time is over. Where the machine is too busy
 * for so little time, it is asked again with more.
 */
export async function refusalInTime(
  volume: { publish(options: CallOptions): Promise<unknown> },
  deadlineMs = 1_500,
): Promise<Refusal> {
  for (let ms = deadlineMs; ; ms *= 2) {
    const refusal = await refusalOf(volume.publish({ deadlineMs: ms }));
    const isLate = refusal.code === "DEADLINE_EXCEEDED" || refusal.message.includes("another call for it");
    if (!isLate || ms > 60_000) return refusal;
  }
}

/** The names in a folder of the plugin's root, such as `records`. */
export async function kept(plugin: Plugin, folder: string): Promise<readonly string[]> {
  const at = path.join(plugin.root, folder);
  return existsSync(at) ? (await readdir(at)).sort() : [];
}

/** What stands in the folders that only hold what is under way, beside those that are `besides`. */
async function remainsOf(
  plugin: Plugin,
  besides: readonly string[] = [],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const folders = ["records", "ingest", "partials", "trash", "attempts"];
  const left = new Map<string, readonly string[]>();
  for (const folder of folders.filter((name) => !besides.includes(name))) {
    const names = await kept(plugin, folder);
    if (names.length > 0) left.set(folder, names);
  }
  const mounted = (await mountsUnder(path.join(plugin.folder, "pods"))).map(({ target }) => target);
  return Object.fromEntries(mounted.length > 0 ? [...left, ["mounts", mounted]] : left);
}

/** Waits until nothing is left: the trash is emptied behind the answer. */
export async function nothingLeft(plugin: Plugin, besides: readonly string[] = []): Promise<void> {
  const check = async () => expect(await remainsOf(plugin, besides)).toEqual({});
  await vi.waitFor(check, { timeout: 60_000, interval: 20 });
}
