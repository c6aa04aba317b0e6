// What the plugin's own pages tell.
import type { Plugin } from "./plugin.ts";

export async function page(plugin: Plugin, name: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://${await plugin.health()}${name}`);
  return { status: answer.status, text: await answer.text() };
}

/** The value of one line of `/metrics`, with its labels as they stand there; 0 where there is none. */
export async function metric(plugin: Plugin, line: string): Promise<number> {
  const { text } = await page(plugin, "/metrics");
  const found = text.split("\n").find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}
