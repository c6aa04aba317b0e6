// A row of the table: what was measured, against whom, and whether it is good enough.
import type { Stage } from "./stage.ts";

/** At most or at least this much, of the figure itself or of its ratio to the peer's. */
export type Goal = ({ readonly most: number } | { readonly least: number }) & {
  readonly of: "ours" | "ratio";
};

export type Measured = {
  readonly id: string;
  readonly what: string;
  readonly unit: "ms" | "s" | "MB" | "×" | "";
  readonly ours: number;
  readonly peer?: string;
  readonly theirs?: number;
  readonly goals: readonly Goal[];
};

export type Result = Omit<Measured, "goals"> & {
  readonly ratio?: number;
  readonly goal: string;
  readonly met: boolean;
};

export interface Row {
  readonly id: string;
  measure(stage: Stage): Promise<readonly Measured[]>;
}

export function judge(measured: Measured): Result {
  const { goals, ...rest } = measured;
  const ratio = measured.theirs === undefined ? undefined : ratioOf(measured.ours, measured.theirs);
  const of = (goal: Goal) => (goal.of === "ours" ? measured.ours : (ratio ?? Number.NaN));
  return {
    ...rest,
    ...(ratio === undefined ? {} : { ratio }),
    goal: goals.map((goal) => formatGoal(goal, measured.unit)).join(", "),
    met: goals.every((goal) => ("most" in goal ? of(goal) <= goal.most : of(goal) >= goal.least)),
  };
}

function ratioOf(ours: number, theirs: number): number {
  return ours === theirs ? 1 : ours / theirs;
}

function formatGoal(goal: Goal, unit: string): string {
  const [sign, bound] = "most" in goal ? ["≤", goal.most] : ["≥", goal.least];
  if (goal.of === "ratio") return `${sign} ${bound.toFixed(2)}×`;
  return `${sign} ${bound}${unit === "" ? "" : ` ${unit}`}`;
}

/** A row of two medians in seconds, whose goal is their ratio. */
export function compared(row: {
  readonly id: string;
  readonly what: string;
  readonly ours: { readonly ms: number } | undefined;
  readonly peer: string;
  readonly theirs: { readonly ms: number } | undefined;
  readonly most: number;
}): Measured {
  const seconds = (side: { readonly ms: number } | undefined) => (side?.ms ?? Number.NaN) / 1_000;
  const { id, what, peer, most } = row;
  const figures = { ours: seconds(row.ours), theirs: seconds(row.theirs) };
  return { id, what, peer, unit: "s", ...figures, goals: [{ most, of: "ratio" }] };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that this share of all does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
