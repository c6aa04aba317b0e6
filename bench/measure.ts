// Makes the measurements that were asked for, shows them as a table, and keeps them in bench/last.json.
import { readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { p1 } from "./p1.ts";
import { p2a } from "./p2a.ts";
import { p2b } from "./p2b.ts";
import { p2c } from "./p2c.ts";
import { p2r } from "./p2r.ts";
import { p3 } from "./p3.ts";
import { p4 } from "./p4.ts";
import { p5, p5c } from "./p5.ts";
import { p6a } from "./p6a.ts";
import { p6b } from "./p6b.ts";
import { p7 } from "./p7.ts";
import { p8 } from "./p8.ts";
import { p10 } from "./p10.ts";
import { p11 } from "./p11.ts";
import { p12 } from "./p12.ts";
import { judge, type Result, type Row } from "./row.ts";
import { openStage, type Stage } from "./stage.ts";
import { formatTable } from "./table.ts";
import { say, seconds } from "./voice.ts";

const rows: readonly Row[] = [p1, p2a, p2b, p2c, p2r, p3, p7, p8, p10, p4, p5, p5c, p6a, p6b, p11, p12];

function chosen(ids: readonly string[]): readonly Row[] {
  const unknown = ids.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined)
    throw new Error(`There is no row "${unknown}"; there are ${rows.map((row) => row.id).join(", ")}`);
  return ids.length === 0 ? rows : rows.filter((row) => ids.includes(row.id));
}

const kept = path.join(import.meta.dirname, "last.json");

/** Puts what was measured now in the place of what the row said before; others stay as they are. */
async function keep(id: string, results: readonly Result[]): Promise<void> {
  const before = await readFile(kept, "utf8").catch(() => "[]");
  const others = (JSON.parse(before) as Result[]).filter((result) => result.id !== id);
  const all = [...others, ...results];
  const inOrder = rows.flatMap((row) => all.filter((result) => result.id === row.id));
  await writeFile(kept, `${JSON.stringify(inOrder, null, 2)}\n`);
}

async function measureAll(stage: Stage, wanted: readonly Row[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const row of wanted) {
    say(row.id);
    const began = performance.now();
    try {
      const measured = (await row.measure(stage)).map(judge);
      results.push(...measured);
      // At once: a run that is ended early has been for something.
      await keep(row.id, measured);
      say(`${row.id} took ${seconds(performance.now() - began)}`);
    } catch (error) {
      // What the other rows say is worth having all the same.
      await keep(row.id, []);
      console.error(`${row.id} could not be measured:`, error);
      process.exitCode = 1;
    }
  }
  return results;
}

async function leave(): Promise<void> {
  await stage[Symbol.asyncDispose]();
  process.exit(1);
}

const runs = Number(process.env["BENCH_RUNS"] ?? 5);
const wanted = chosen(process.argv.slice(2));
await using stage = await openStage(runs);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void leave());
const results = await measureAll(stage, wanted);
console.log(
  `${os.cpus().length} × ${os.cpus()[0]?.model}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}; medians of ${runs}\n`,
);
console.log(formatTable(results));
