import { describe, expect, it } from "vitest";
import { formatSettings, settingsTable } from "./table.ts";

describe("settingsTable()", () => {
  it("says of every setting what it means", () => {
    const rows = settingsTable();
    expect(rows.length).toBeGreaterThan(40);
    for (const { name, meaning } of rows) {
      expect(name).toMatch(/^[A-Za-z][A-Za-z_.[\]-]*$/);
      expect(meaning, name).toMatch(/\.$/);
    }
    expect(new Set(rows.map(({ where, name }) => `${where} ${name}`)).size).toBe(rows.length);
  });

  it("tells defaults as one would write them", () => {
    expect(settingsTable()).toContainEqual({
      where: "file",
      name: "pull.rangeBytes",
      byDefault: "8Mi",
      meaning: "How much one request asks for.",
    });
    expect(settingsTable()).toContainEqual(
      expect.objectContaining({ name: "registries[].mirrors[].url", byDefault: "" }),
    );
  });
});

describe("formatSettings()", () => {
  it("makes a Markdown table of one part", () => {
    const lines = formatSettings("volume").split("\n");
    expect(lines.slice(0, 2)).toEqual(["| name | default | meaning |", "|---|---|---|"]);
    expect(lines[2]).toMatch(/^\| `reference` \| – \| The artifact/);
    expect(lines.every((line) => line.split("|").length === 5)).toBe(true);
    expect(formatSettings("claim")).toContain("| `push-deadline` | `24h` | How long");
  });
});
