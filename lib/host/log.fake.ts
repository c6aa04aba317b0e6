// A log that keeps its lines, redacted as the real one writes them.
import type { Log, LogFields, LogLevel } from "./log.ts";
import { openLog } from "./log.ts";

export type LogLine = LogFields & { readonly level: LogLevel; readonly message: string };

/** `lines` grows as things are said, at every level. */
export function openMemoryLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as LogLine);
  return { log: openLog({ level: "debug", now: () => 0, write }), lines };
}
