// The table of settings that the README shows, made from the schemas that check them.
import { z } from "zod";
import { claimParameters } from "./claim-schema.ts";
import { nodeEnvironment } from "./node.ts";
import { nodeFile } from "./node-file.ts";
import { volumeAttributes } from "./volume.ts";

export type SettingsRow = {
  readonly where: "environment" | "file" | "volume" | "claim";
  readonly name: string;
  /** As one would write it; "" where there is none. */
  readonly byDefault: string;
  readonly meaning: string;
};

/** Every setting there is, in the order of the schemas. */
export function settingsTable(): readonly SettingsRow[] {
  return [
    ...rowsOf("environment", nodeEnvironment),
    ...rowsOf("file", nodeFile),
    ...rowsOf("volume", volumeAttributes),
    ...rowsOf("claim", claimParameters),
  ];
}

/** The rows as Markdown, one part of the table. */
export function formatSettings(where: SettingsRow["where"]): string {
  const rows = settingsTable().filter((row) => row.where === where);
  const lines = rows.map(
    ({ name, byDefault, meaning }) =>
      `| \`${name}\` | ${byDefault === "" ? "–" : `\`${byDefault}\``} | ${meaning} |`,
  );
  return ["| name | default | meaning |", "|---|---|---|", ...lines].join("\n");
}

const rowsOf = (where: SettingsRow["where"], schema: z.ZodType): readonly SettingsRow[] =>
  toRows(where, "", z.toJSONSchema(schema, { io: "input" }));

function toRows(
  where: SettingsRow["where"],
  name: string,
  schema: z.core.JSONSchema.BaseSchema,
): readonly SettingsRow[] {
  const inner = schema.properties ?? itemProperties(schema);
  const own =
    schema.description === undefined
      ? []
      : [{ where, name, byDefault: formatDefault(schema.default), meaning: schema.description }];
  const prefix = name === "" ? "" : `${name}${schema.properties === undefined ? "[]" : ""}.`;
  return [
    ...own,
    ...Object.entries(inner ?? {}).flatMap(([key, value]) =>
      typeof value === "boolean" ? [] : toRows(where, `${prefix}${key}`, value),
    ),
  ];
}

function itemProperties(schema: z.core.JSONSchema.BaseSchema): z.core.JSONSchema.BaseSchema["properties"] {
  const items = schema.items;
  return typeof items === "object" && !Array.isArray(items) ? items.properties : undefined;
}

function formatDefault(value: unknown): string {
  if (value === undefined || value === "") return "";
  if (typeof value === "string") return value;
  const text = JSON.stringify(value);
  return text === "[]" || text === "{}" ? "" : text;
}
