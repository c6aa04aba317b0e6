// With whose credentials a volume asks a registry, and over which transport: its own word goes before the node's.
import type { Access } from "../core/access.ts";
import type { ClaimSettings } from "../core/claim-settings.ts";
import { type Failure, isFailure } from "../core/failure.ts";
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

/**
 * With the first of the accesses that is let in, and finds it: registries disguise a refusal as `not-found`. Where none
 * is, what the most promising one was told counts.
 */
export async function withAccess<T>(
  asking: Asking,
  repository: Pick<Reference, "host" | "repository">,
  work: (access: Access) => Promise<T>,
): Promise<T> {
  let refusal: Failure | undefined;
  for (const access of await accessesFor(asking, repository)) {
    try {
      return await work(access);
    } catch (error) {
      if (!isFailure(error, "denied") && !isFailure(error, "not-found")) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? new Error("the keyring gave no access at all");
}
