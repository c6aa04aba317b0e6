// One use of a blob brings it; each other that wants it meanwhile waits for that, and reads the same bytes.
import type { Claim, Claims } from "./claims.ts";

export type Lendable = { readonly letGo: (keep: boolean) => Promise<void> };

export type Ways<T> = {
  /** Brings it. */
  readonly fly: () => Promise<T>;
  /** Makes what this use needs of what another has brought; the claim is its to dispose of. */
  readonly read: (lent: Claim<T>) => Promise<T>;
};

export class Lending<T extends Lendable> {
  readonly #claims: Pick<Claims<T>, "share">;
  readonly #onStep: (step: string) => Promise<void>;
  /** The claim for which each blob is on its way, or here. */
  readonly #bringing = new Map<string, string>();

  constructor(claims: Pick<Claims<T>, "share">, onStep: (step: string) => Promise<void>) {
    this.#claims = claims;
    this.#onStep = onStep;
  }

  /** The blob for the claim `key`: read where another use has it or gets it, else brought, for others to read. */
  async bring(blob: string, key: string, ways: Ways<T>): Promise<T> {
    const lender = this.#bringing.get(blob);
    if (lender === undefined) return await this.#fly(blob, key, ways);
    await this.#onStep("other use found");
    const lent = await this.#claims.share(lender);
    if (lent !== undefined) return await ways.read(lent);
    // It came to nothing, or is being used up.
    this.#forget(blob, lender);
    return await this.bring(blob, key, ways);
  }

  async #fly(blob: string, key: string, { fly }: Ways<T>): Promise<T> {
    this.#bringing.set(blob, key);
    try {
      const arrived = await fly();
      const letGo = (keep: boolean) => {
        this.#forget(blob, key);
        return arrived.letGo(keep);
      };
      return { ...arrived, letGo };
    } catch (error) {
      this.#forget(blob, key);
      throw error;
    }
  }

  #forget(blob: string, key: string): void {
    if (this.#bringing.get(blob) === key) this.#bringing.delete(blob);
  }
}
