// What requests for a repository met that are about to be made again: for those who wait for them, and see nothing come.
import type { Access } from "../core/access.ts";
import type { Observe } from "./observe.ts";

export class Troubles {
  readonly #met = new Map<string, string>();

  /** Who did what, in words, last; undefined where nothing is amiss. */
  of(access: Access): string | undefined {
    return this.#met.get(keyOf(access));
  }

  /** Observes as `observe` does a request about the repository; what that met is known here until bytes come or it is disposed of. */
  follow(access: Access, observe: Observe): Observe & Disposable {
    const key = keyOf(access);
    return {
      bytes: (source, bytes) => {
        this.#met.delete(key);
        observe.bytes(source, bytes);
      },
      retry: (retry) => {
        this.#met.set(key, retry.why);
        observe.retry(retry);
      },
      deadMirror: (host, why) => observe.deadMirror(host, why),
      [Symbol.dispose]: () => void this.#met.delete(key),
    };
  }
}

const keyOf = ({ host, repository, plainHttp, insecure }: Access) =>
  JSON.stringify([host, repository, plainHttp, insecure]);
