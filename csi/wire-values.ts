// Paths, sizes, maps and topologies as CSI spells them, parsed into ours.
import path from "node:path";
import type { SizeRange } from "../lib/core/admit-claim.ts";
import { Failure } from "../lib/core/failure.ts";
import type { CapacityRange, TopologyRequirement, WireMap } from "./protocol.ts";

export const parseMap = (map: WireMap): ReadonlyMap<string, string> => new Map(Object.entries(map));

/**
 * An absolute path without `.` and `..`, so that what is compared with the mount table is spelt as there.
 * `what` is for the message. Throws `invalid`.
 */
export function parsePath(text: string, what: "target" | "staging"): string {
  const refuse = (why: string) => new Failure("invalid", `Cannot use the ${what} path "${text}": ${why}`);
  if (!path.isAbsolute(text)) throw refuse("it is not absolute");
  if (text.split("/").some((part) => part === "." || part === "..")) throw refuse('it holds "." or ".."');
  const target = path.normalize(text).replace(/\/$/, "");
  if (target === "") throw refuse("it is the root directory");
  return target;
}

/** No range is no wish. Throws `invalid` where it is negative, `out-of-range` where no volume could be as large. */
export function parseSizeRange(range: CapacityRange | null): SizeRange {
  const requiredBytes = parseBytes("required_bytes", range?.required_bytes ?? "0");
  const limitBytes = parseBytes("limit_bytes", range?.limit_bytes ?? "0");
  if (requiredBytes > Number.MAX_SAFE_INTEGER) {
    throw new Failure("out-of-range", `Cannot make a volume of ${range?.required_bytes} bytes; ask for less`);
  }
  // A limit that no volume can reach limits as much as any other such.
  return { requiredBytes, limitBytes: Math.min(limitBytes, Number.MAX_SAFE_INTEGER) };
}

function parseBytes(name: string, text: string): number {
  const bytes = Number(text);
  if (bytes >= 0) return bytes;
  throw new Failure("invalid", `Cannot take the call: its "${name}" is ${text}; it may not be negative`);
}

/** Where a volume may be: where it must, or else where it is preferred. None: anywhere. */
export function parseTopology(
  requirement: TopologyRequirement | null,
): ReadonlyArray<ReadonlyMap<string, string>> {
  const { requisite = [], preferred = [] } = requirement ?? {};
  return (requisite.length > 0 ? requisite : preferred).map(({ segments }) => parseMap(segments));
}
