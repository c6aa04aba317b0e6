// What all reading together may use on this node: connections.

/** How much of one thing may be taken at once; whoever comes too late waits in a fair line. */
export class Slots {
  #free: number;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>[]>();
  readonly #used = new Map<string, number>();
  readonly #perGroup: number;

  /** `total` on the node, of which one group has `perGroup` at most. */
  constructor(total: number, perGroup: number = total) {
    this.#free = total;
    this.#perGroup = perGroup;
  }

  /** Resolves with what gives the slot back. Among those who wait, each `line` has its turn; the lines of one group share its part. */
  async take(
    of: { readonly group: string; readonly line: string },
    signal: AbortSignal,
  ): Promise<Disposable> {
    signal.throwIfAborted();
    const { group } = of;
    const key = `${group} ${of.line}`;
    if (this.#free === 0 || this.#count(group) >= this.#perGroup || this.#waiting.has(key))
      await this.#turn(key, signal);
    else this.#occupy(group);
    let given = false;
    return {
      [Symbol.dispose]: () => {
        if (given) return;
        given = true;
        this.#release(group);
      },
    };
  }

  async #turn(key: string, signal: AbortSignal): Promise<void> {
    const turn = Promise.withResolvers<void>();
    const line = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, [...line, turn]);
    const leave = () => {
      const left = (this.#waiting.get(key) ?? []).filter((other) => other !== turn);
      if (left.length > 0) this.#waiting.set(key, left);
      else this.#waiting.delete(key);
      turn.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #release(group: string): void {
    const left = this.#count(group) - 1;
    if (left > 0) this.#used.set(group, left);
    else this.#used.delete(group);
    this.#free += 1;
    for (const [key, [next, ...rest]] of this.#waiting) {
      const waiting = key.slice(0, key.lastIndexOf(" "));
      if (next === undefined || this.#count(waiting) >= this.#perGroup) continue;
      this.#waiting.delete(key);
      if (rest.length > 0) this.#waiting.set(key, rest);
      this.#occupy(waiting);
      next.resolve();
      return;
    }
  }

  #occupy(group: string): void {
    this.#free -= 1;
    this.#used.set(group, this.#count(group) + 1);
  }

  #count(group: string): number {
    return this.#used.get(group) ?? 0;
  }
}

export type LimitOptions = {
  /** To one artifact's repository at once, for blobs. */
  readonly connections: number;
  readonly nodeConnections: number;
  readonly rangeBytes: number;
};

export const DEFAULT_LIMITS: LimitOptions = {
  connections: 12,
  nodeConnections: 32,
  rangeBytes: 8 * 1024 * 1024,
};

/** One for the node. Questions (manifests, proofs) have slots of their own, so that no blob keeps a warm volume waiting. */
export class Limits {
  readonly blobs: Slots;
  readonly questions = new Slots(32);
  readonly connections: number;
  readonly rangeBytes: number;

  constructor(options: LimitOptions = DEFAULT_LIMITS) {
    this.blobs = new Slots(options.nodeConnections, options.connections);
    this.connections = options.connections;
    this.rangeBytes = options.rangeBytes;
  }
}
