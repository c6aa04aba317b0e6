// Holds the README to the schemas: what it says of the settings is what is checked.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { formatSettings } from "../lib/settings/table.ts";

const readme = readFileSync(path.resolve(import.meta.dirname, "../README.md"), "utf8");

describe("the README", () => {
  it.each(["volume", "claim", "environment", "file"] as const)(
    "shows the settings of the %s as they are",
    (where) => {
      expect(readme).toContain(formatSettings(where));
    },
  );
});
