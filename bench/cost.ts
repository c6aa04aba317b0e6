// What a step of work on a cache costs: seconds on the clock, those of the processors, bytes.
import { processorTimeOf } from "./process.ts";

export type Cost = { readonly ms: number; readonly processorMs: number; readonly bytes?: number };

/** Of a process that stays, with the programs that it runs and sees end. */
export async function costOf(pid: number, work: () => Promise<unknown>): Promise<Cost> {
  return await cost(work, async () => {
    const { ownMs, childrenMs } = await processorTimeOf(pid);
    return ownMs + childrenMs;
  });
}

/** Of the programs that we run here, without ourselves. */
export async function costOfPrograms(work: () => Promise<unknown>): Promise<Cost> {
  return await cost(work, async () => (await processorTimeOf(process.pid)).childrenMs);
}

async function cost(work: () => Promise<unknown>, processorMs: () => Promise<number>): Promise<Cost> {
  const [began, before] = [performance.now(), await processorMs()];
  await work();
  return { ms: performance.now() - began, processorMs: (await processorMs()) - before };
}

/** On the clock (of the processors), bytes. */
export function formatCost({ ms, processorMs, bytes }: Cost): string {
  const times = `${inSeconds(ms)} (${inSeconds(processorMs)})`;
  return bytes === undefined ? times : `${times}, ${(bytes / 1e6).toFixed(1)} MB`;
}

const inSeconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
