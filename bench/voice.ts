// Says what is going on, on a terminal and in a log alike.
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Says what is being done, and how long it took. */
export async function working<T>(what: string, work: () => Promise<T>): Promise<T> {
  process.stderr.write(`  ${what} …`);
  const began = performance.now();
  const beat = setInterval(() => process.stderr.write("."), 2_000);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    say(` ${seconds(performance.now() - began)}`);
  }
}

export function seconds(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(1)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** Milliseconds that it takes. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
