// What the log tells of an error: its stack, and those of all that led to it.
import { inspect } from "node:util";

/** Whatever refers to itself ends, too. */
const MOST = 8;

/** The error's own first. Never their other fields, where libraries keep whole requests. */
export function storyOf(error: unknown): readonly string[] {
  const told: string[] = [];
  const open = [error];
  while (open.length > 0 && told.length < MOST) {
    const next = open.shift();
    told.push(tell(next));
    if (next instanceof Error) open.push(...behind(next));
  }
  return told;
}

function tell(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${inspect(error, { depth: 0 })}`;
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  // What the kernel said of a mount.
  const detail = "detail" in error && typeof error.detail === "string" ? error.detail : "";
  return detail === "" ? stack : `${stack}\n(${detail})`;
}

function behind(error: Error): readonly unknown[] {
  const cause = error.cause === undefined ? [] : [error.cause];
  // Something could not be let go of after an error, which is the one that it suppresses.
  if (error instanceof SuppressedError) return [error.suppressed, error.error, ...cause];
  return error instanceof AggregateError ? [...error.errors, ...cause] : cause;
}
