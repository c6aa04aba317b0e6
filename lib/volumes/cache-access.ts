// With whose credentials a volume asks a registry, and over which transport: its own word goes before the node's.
import type { Access } from "../core/access.ts";
import type { ClaimSettings } from "../core/claim-settings.ts";
import { isFailure } from "../core/failure.ts";
import type { Reference } from "../core/reference.ts";
import { untilAborted } from "../core/until-aborted.ts";
import type { Keyring } from "../registry/keyring.ts";

export type Asking = {
  readonly keyring: Keyring;
  readonly settings: Pick<ClaimSettings, "plainHttp" | "insecure">;
  readonly secrets: ReadonlyMap<string, string>;
  /** Ends the waiting for credential plugins, which goes on without. */
  readonly signal: AbortSignal;
};

/** Most promising first, never none. Rejects with the signal's reason when that comes first. */
export async function accessesFor(
  { keyring, settings, secrets, signal }: Asking,
  repository: Pick<Reference, "host" | "repository">,
): Promise<readonly Access[]> {
  const { plainHttp, insecure } = settings;
  const asked = keyring.accessesFor(repository, Object.fromEntries(secrets));
  const accesses = await untilAborted(asked, signal);
  return accesses.map((access) => ({
    ...access,
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...(insecure === undefined ? {} : { insecure }),
  }));
}

/** With the first of the accesses that is let in. */
export async function withAccess<T>(
  asking: Asking,
  repository: Pick<Reference, "host" | "repository">,
  work: (access: Access) => Promise<T>,
): Promise<T> {
  const accesses = await accessesFor(asking, repository);
  for (const [at, access] of accesses.entries()) {
    try {
      return await work(access);
    } catch (error) {
      if (!isFailure(error, "denied") || at === accesses.length - 1) throw error;
    }
  }
  throw new Error("the keyring gave no access at all");
}
