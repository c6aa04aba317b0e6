// One question for all who ask the same at about the same moment: a hundred pods of one deployment begin together.
import { untilAborted } from "../core/until-aborted.ts";

/** An answer is never older than this to whoever did not ask for it himself. */
const SHARED_MS = 1_000;

export class SharedQuestions {
  readonly #sharedMs: number;
  readonly #inTheAir = new Map<string, Promise<{ readonly answer: unknown } | undefined>>();

  constructor(options: { readonly sharedMs?: number } = {}) {
    this.#sharedMs = options.sharedMs ?? SHARED_MS;
  }

  /**
   * The answer to `ask`, or that to the same question of another who asked a moment ago. Only what is answered soon is
   * shared, and no refusal or trouble is: those have each asker ask again, on his own. `key`: equal where the question
   * is, and on whose behalf it is asked.
   */
  async ask<T>(key: string, ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const shared = this.#inTheAir.get(key);
    const told = shared === undefined ? undefined : await untilAborted(shared, signal);
    if (told !== undefined) return told.answer as T;
    const asked = ask();
    if (!this.#inTheAir.has(key)) this.#share(key, asked);
    return await asked;
  }

  #share(key: string, asked: Promise<unknown>): void {
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), this.#sharedMs);
    const told = asked.then(
      (answer) => ({ answer }),
      () => undefined,
    );
    const shared = Promise.race([told, late.promise]).finally(() => {
      clearTimeout(timer);
      this.#inTheAir.delete(key);
    });
    this.#inTheAir.set(key, shared);
  }
}
