// Which bytes of which whole a partial answer says it carries.
import type { Range } from "./ranges.ts";

/** `bytes 0-99/1000`, or `…/*` where the whole is not told; undefined for anything else. */
export function parseContentRange(
  header: string,
): (Range & { readonly size: number | undefined }) | undefined {
  const [, first, last, size] = /^\s*bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)\s*$/i.exec(header) ?? [];
  if (first === undefined || last === undefined || Number(last) < Number(first)) return undefined;
  return { start: Number(first), end: Number(last) + 1, size: size === "*" ? undefined : Number(size) };
}
