// Attributes under our own names, whichever they were written under.
import { ownAttributes } from "../core/attributes.ts";
import { type Alias, withoutEffect } from "./artifact.ts";
import { unknownName } from "./problems.ts";

export type Names = { readonly known: readonly string[]; readonly aliases: ReadonlyMap<string, Alias> };

/** Those that are a volume's own; what is unknown, or said twice and differently, goes to `problems`. */
export function nameAttributes(
  attributes: ReadonlyMap<string, string>,
  names: Names,
  problems: string[],
): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  const saidAs = new Map<string, string>();
  for (const [key, value] of ownAttributes(attributes)) {
    if (key === withoutEffect) continue;
    const alias = names.aliases.get(key);
    const name = alias?.name ?? key;
    if (!names.known.includes(name)) {
      problems.push(unknownName(name, name, [...names.known, ...names.aliases.keys()]));
      continue;
    }
    const text = alias?.convert?.(value) ?? value;
    const before = named.get(name);
    if (before !== undefined && before !== text) {
      problems.push(`"${saidAs.get(name)}" and "${key}" contradict each other; leave one of them out`);
    }
    named.set(name, text);
    saidAs.set(name, key);
  }
  return named;
}
