// How the story is told: what is being done, how long it took, and what was refused in which words.
export const say = (text = "") => console.log(text);

const ms = (from: number) => `${(performance.now() - from).toFixed(0)} ms`;

/** Says what is being done, does it, and says how long it took: on a terminal and in a log alike. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  process.stdout.write(`  ${what} …`);
  const beat = setInterval(() => process.stdout.write("."), 2_000);
  try {
    const result = await work();
    say(` ${ms(began)}`);
    return result;
  } catch (error) {
    say(" failed");
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
    say(`  ${what}:\n    ${code}: ${message}`);
    return;
  }
  throw new Error(`${what} should have been refused, and was not`);
}
