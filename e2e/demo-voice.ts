// How the story is told: what is being done, how long it took, and what was refused in which words.
export const say = (text = "") => console.log(text);

const ms = (from: number) => `${(performance.now() - from).toFixed(0)} ms`;

let stopped: NodeJS.Signals | undefined;

/**
 * From now on Ctrl-C ends the story: the step that is under way is the last, and everything is taken down. A terminal
 * ends the step's programs, too, and the registries. A second Ctrl-C ends the story at once.
 */
export function stopOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (stopped !== undefined) process.exit(1);
      stopped = signal;
    });
}

/** By which signal the story was stopped: whatever failed since is no fault of it. */
export const stoppedBy = () => stopped;

/** Says what is being done, does it, and says how long it took: on a terminal and in a log alike. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  if (stopped !== undefined) throw new Error(`stopped by ${stopped}`);
  const began = performance.now();
  process.stdout.write(`  ${what} …`);
  const beat = setInterval(() => process.stdout.write("."), 2_000);
  try {
    const result = await work();
    say(` ${ms(began)}`);
    return result;
  } catch (error) {
    say(stopped === undefined ? " failed" : " stopped");
    throw error;
  } finally {
    clearInterval(beat);
  }
}

export async function refusal(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    // Node's own words begin with the code.
    say(`  ${what}:\n    ${message.startsWith(`${code}:`) ? "" : `${code}: `}${message}`);
    return;
  }
  throw new Error(`${what} should have been refused, and was not`);
}
