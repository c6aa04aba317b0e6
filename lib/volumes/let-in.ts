// Which credentials a claim's Cache has let in: whoever brings the same may have what that claim committed here.
import { createHash } from "node:crypto";
import type { Access } from "../core/access.ts";
import { registryOf } from "../trees/permission.ts";

/** What the key had. */
export type HeadAnswer = "head" | "none";

/** In memory only: after a restart the registry has to answer again. */
export class LetIn {
  readonly #known = new Map<string, Map<string, HeadAnswer>>();

  /** The registry itself has answered this access about the Cache of the claim. */
  note(volumeId: string, access: Access, head: HeadAnswer): void {
    const known = this.#known.get(volumeId) ?? new Map<string, HeadAnswer>();
    this.#known.set(volumeId, known.set(fingerprintOf(access), head));
  }

  /** Whether this one was told, when it asked for that claim the last time, that the key has no head. */
  wasToldNone(volumeId: string, access: Access): boolean {
    return this.#known.get(volumeId)?.get(fingerprintOf(access)) === "none";
  }

  /** Whether one of these was let in for that claim. */
  has(volumeId: string, accesses: readonly Access[]): boolean {
    const known = this.#known.get(volumeId);
    return known !== undefined && accesses.some((access) => known.has(fingerprintOf(access)));
  }

  forget(volumeId: string): void {
    this.#known.delete(volumeId);
  }
}

function fingerprintOf(access: Access): string {
  const words = [registryOf(access), access.repository, access.credentials ?? ""];
  return createHash("sha256").update(JSON.stringify(words)).digest("hex");
}
