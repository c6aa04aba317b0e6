// What came of looking for a claim's base before its first stage, as its Record keeps it.
import type { Version } from "./cache-key.ts";
import type { Digest } from "./digest.ts";
import type { Fields } from "./fields.ts";

/** What a registry said of a key, or of the versions that restore keys find. */
export type KeyAnswer =
  | { readonly kind: "absent" }
  | {
      readonly kind: "found";
      readonly digest: Digest;
      readonly bytes: number;
      readonly version?: Version;
    };

/** What came of looking for a base when the claim was made; what failed is left out. */
export type BaseLook = { readonly atMs: number; readonly head?: KeyAnswer; readonly restored?: KeyAnswer };

/** Failures as its fields. */
export function readLook(fields: Fields): BaseLook {
  const head = fields.optionalObject("head");
  const restored = fields.optionalObject("restored");
  return {
    atMs: fields.count("atMs"),
    ...(head === undefined ? {} : { head: readAnswer(head) }),
    ...(restored === undefined ? {} : { restored: readAnswer(restored) }),
  };
}

function readAnswer(fields: Fields): KeyAnswer {
  if (fields.choice("kind", ["absent", "found"]) === "absent") return { kind: "absent" };
  return {
    kind: "found",
    digest: fields.digest("digest"),
    bytes: fields.count("bytes"),
    ...readVersionOf(fields),
  };
}

/** The version in a field of that name; one that others tagged has none. */
export function readVersionOf(fields: Fields): { readonly version?: Version } {
  const version = fields.optionalObject("version");
  return version === undefined
    ? {}
    : { version: { timeMs: version.count("timeMs"), id: version.text("id") } };
}
