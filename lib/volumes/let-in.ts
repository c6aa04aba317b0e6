// Which credentials a claim's Cache has let in: whoever brings the same may have what that claim committed here.
import { createHash } from "node:crypto";
import type { Access } from "../core/access.ts";
import { registryOf } from "../trees/permission.ts";

/** In memory only: after a restart the registry has to answer again. */
export class LetIn {
  readonly #known = new Map<string, Set<string>>();

  /** The registry itself has answered this access about the Cache of the claim. */
  note(volumeId: string, access: Access): void {
    const known = this.#known.get(volumeId) ?? new Set();
    this.#known.set(volumeId, known.add(fingerprintOf(access)));
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
