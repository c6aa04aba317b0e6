// Everything that is wrong with what someone wrote, each in a sentence that names the place, the value and the remedy.
import { z } from "zod";
import { isFailure } from "../core/failure.ts";
import { nearestName } from "../core/nearest.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** A text, or a number for one, that `parse` reads; what it refuses becomes a problem. */
export function parsed<Value>(parse: (text: string) => Value) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    try {
      return parse(String(value));
    } catch (error) {
      if (!isFailure(error)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
}

/** Values under these are never quoted. */
const SECRET = /password|token|headers/i;

/** The sentences for what `schema` refused of `input`. */
export function describeProblems(error: z.ZodError, schema: z.ZodType, input: unknown): readonly string[] {
  const json = z.toJSONSchema(schema, { io: "input" });
  return error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) =>
        unknownName(nameOf([...issue.path, key]), key, namesAt(json, issue.path)),
      );
    }
    const name = nameOf(issue.path) || "the whole";
    if (issue.code === "custom") return [`${name}: ${issue.message}`];
    const value = valueAt(input, issue.path);
    if (value === undefined) return [`${name} is missing`];
    const quoted =
      SECRET.test(name) || typeof value === "object" ? "" : ` ${JSON.stringify(value).slice(0, 120)}`;
    return [`${name}${quoted} is refused: ${reasonOf(issue)}`];
  });
}

/** Of the ways a value may be written, the one that was nearly met says what to write. */
function reasonOf(issue: z.core.$ZodIssue): string {
  const nearly =
    issue.code === "invalid_union"
      ? issue.errors.flat().find(({ code }) => code === "invalid_format")
      : issue;
  return (nearly?.message ?? "expected a text").replace(/^Invalid (?:input|option): /, "");
}

/** The sentence for a name that nobody knows. */
export function unknownName(path: string, name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  const told = [...known].slice(0, 24).join(", ");
  return `"${path.slice(0, 120)}" is unknown; ${nearest === undefined ? `known are ${told}` : `the nearest is "${nearest}"`}`;
}

function namesAt(schema: JsonSchema, path: readonly PropertyKey[]): readonly string[] {
  let at: JsonSchema | undefined = schema;
  for (const step of path) {
    const next: unknown = typeof step === "number" ? at?.items : at?.properties?.[String(step)];
    at = next as JsonSchema | undefined;
  }
  return Object.keys(at?.properties ?? {});
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, step) =>
      typeof step === "number" ? `${name}[${step}]` : `${name}${name === "" ? "" : "."}${String(step)}`,
    "",
  );
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<PropertyKey, unknown>)[step]
        : undefined,
    input,
  );
}
