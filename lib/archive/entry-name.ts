// What an archive calls its entries: taken apart, refused where it would lead out, and shown in messages.
import { Failure } from "../core/failure.ts";

/** Longer than any path a tool makes; the names of a hostile archive cost memory. */
export const LONGEST_NAME = 32_768;
const LONGEST_COMPONENT = 255;
const SHOWN = 120;
/** In front of the name of what a layer takes away. */
export const WHITEOUT = ".wh.";
// Control characters, quotes, and what turns the direction of writing.
const UNSAFE = /[\p{Cc}"\\\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** A name for a message: readable, on one line, cut. `name` is latin1 text that stands for bytes. */
export function showName(name: string): string {
  const text = Buffer.from(name, "latin1").toString("utf8");
  const safe = text.replace(UNSAFE, escapeCharacter);
  return `"${safe.length > SHOWN ? `${safe.slice(0, SHOWN)}…` : safe}"`;
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** What is wrong with one entry, in the form every such message has. */
export function entryFailure(name: string, why: string, options?: { readonly cause?: unknown }): Failure {
  return new Failure("invalid", `its entry ${showName(name)} ${why}`, options);
}

/**
 * The components of `name` without empty ones and dots: none for the root itself. A leading slash counts for nothing
 * where `absolute` is allowed. Failure `invalid` for what would lead out and for what no file system takes.
 */
export function splitName(name: string, absolute: "allowed" | "refused"): string[] {
  if (name.length > LONGEST_NAME)
    throw entryFailure(
      name,
      `has a name of ${name.length} bytes; the longest is ${LONGEST_NAME}; shorten it`,
    );
  if (name.includes("\0")) throw entryFailure(name, "has a NUL in its name; pack it again without");
  if (absolute === "refused" && name.startsWith("/"))
    throw entryFailure(name, "has an absolute name; pack it with relative names");
  const components = name.split("/").filter((component) => component !== "" && component !== ".");
  if (components.includes("..")) throw entryFailure(name, 'has ".." in its name; pack it without');
  if (components.some((component) => component.length > LONGEST_COMPONENT + whiteoutPrefix(component)))
    throw entryFailure(name, `has a part of its name longer than ${LONGEST_COMPONENT} bytes; shorten it`);
  return components;
}

/** The mark in front of a whiteout is no part of the name that it hides. */
function whiteoutPrefix(component: string): number {
  return component.startsWith(WHITEOUT) ? WHITEOUT.length : 0;
}
