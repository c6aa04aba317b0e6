// The results as people read them: on the terminal, and the same as Markdown.
import type { Result } from "./row.ts";

const HEAD = ["id", "what", "ours", "peer", "theirs", "ratio", "goal", "met"] as const;

function cells(result: Result): string[] {
  const figure = (value: number | undefined) =>
    value === undefined ? "–" : `${formatFigure(value)}${result.unit === "" ? "" : ` ${result.unit}`}`;
  return [
    result.id,
    result.what,
    figure(result.ours),
    result.peer ?? "–",
    figure(result.theirs),
    result.ratio === undefined ? "–" : `${result.ratio.toFixed(2)}×`,
    result.goal,
    result.met ? "yes" : "NO",
  ];
}

function formatFigure(value: number): string {
  if (Number.isInteger(value)) return value.toString();
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export function formatTable(results: readonly Result[]): string {
  return formatCells([[...HEAD], ...results.map(cells)]);
}

/** The first row is the head. */
export function formatCells(rows: ReadonlyArray<readonly string[]>): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [line(head), rule, ...body.map(line)].join("\n");
}
