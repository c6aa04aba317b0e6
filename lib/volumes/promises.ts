// What is promised to claims of this node: asked by whoever gives more of it, and by the store that lies beside them.
import { type ClaimPromise, type Promised, weighPromises } from "../core/capacity.ts";
import { Turns } from "../trees/turns.ts";
import type { ClaimRecords } from "./claim-records.ts";
import type { Limits } from "./limits.ts";

export type PromisesDeps = {
  readonly claims: Pick<ClaimRecords, "all">;
  readonly limits: Pick<Limits, "usage">;
  /** How many times over the node's room is promised. */
  readonly overcommit: number;
};

export class Promises {
  readonly #deps: PromisesDeps;
  #givingBytes = 0;
  readonly #turns = new Turns(1);

  constructor(deps: PromisesDeps) {
    this.#deps = deps;
  }

  get overcommit(): number {
    return this.#deps.overcommit;
  }

  /** As the Records have them. */
  async list(): Promise<readonly ClaimPromise[]> {
    const { claims, limits } = this.#deps;
    return await Promise.all(
      [...claims.all.values()].map(async ({ bytes, project, commit }) => ({
        bytes,
        // What is not counted is taken for not used: the safe side.
        usedBytes: (await limits.usage(project))?.bytes ?? 0,
        isCommitted: commit !== undefined,
      })),
    );
  }

  /** Together, and what is being given at this moment. */
  async weigh(): Promise<Promised> {
    const giving = { bytes: this.#givingBytes, usedBytes: 0 };
    return weighPromises([...(await this.list()), giving], this.overcommit);
  }

  /**
   * `give` looks whether there is room for so many bytes and records who has them; one after the other, so that of two
   * who ask at once only one gets the last room. They count before it looks, so that no pull takes that room meanwhile.
   */
  async give<T>(bytes: number, give: () => Promise<T>): Promise<T> {
    using _turn = await this.#turns.take();
    this.#givingBytes = bytes;
    try {
      return await give();
    } finally {
      this.#givingBytes = 0;
    }
  }
}
