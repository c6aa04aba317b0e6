// What one host says of a manifest: what a tag means, whether it has a digest, the bytes; and those of its config.
import { type Digest, digestOf, parseDigest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { type Answer, type AskDeps, ask, refusalOf } from "./ask.ts";
import { sourceOf } from "./endpoint.ts";
import { Fault, MEND_THERE, TRIES } from "./fault.ts";
import { networkFault } from "./network-faults.ts";
import type { FetchedManifest, Resolved } from "./reader.ts";
import type { Party } from "./tokens.ts";

const MOST_BYTES = 32 * 1024 * 1024;

const ACCEPT = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.artifact.manifest.v1+json",
  "*/*;q=0.5",
].join(", ");

/** By HEAD, or by GET where HEAD does not tell all of it. */
export async function resolveAt(
  deps: AskDeps,
  wanted: { readonly party: Party; readonly tag?: string; readonly digest?: Digest },
  signal: AbortSignal,
): Promise<Resolved> {
  const { party, digest } = wanted;
  const name = digest ?? wanted.tag ?? "latest";
  const answer = await askManifest(deps, { party, method: "HEAD", name }, signal);
  const { incoming } = answer;
  const refused = incoming.status !== 200 && incoming.status !== 405;
  if (refused) throw await refusalOf(deps, party, answer);
  await incoming.discard();
  const told = wellFormed(incoming.header("docker-content-digest") ?? digest ?? "");
  const size = Number(incoming.header("content-length") ?? Number.NaN);
  if (incoming.status === 200 && told !== undefined && Number.isSafeInteger(size)) {
    if (digest !== undefined && told !== digest) throw otherDigest(answer.who, "manifest", told);
    return { digest: told, mediaType: mediaTypeOf(answer), size, source: sourceOf(party.endpoint) };
  }
  const { bytes, mediaType, source } = await fetchManifestAt(deps, { party, name, digest }, signal);
  return { digest: digestOf(bytes), mediaType, size: bytes.length, source };
}

/** Its bytes, which have `digest` where one is given. */
export async function fetchManifestAt(
  deps: AskDeps,
  wanted: { readonly party: Party; readonly name: string; readonly digest: Digest | undefined },
  signal: AbortSignal,
): Promise<FetchedManifest> {
  const { party, name, digest } = wanted;
  const answer = await askManifest(deps, { party, method: "GET", name }, signal);
  if (answer.incoming.status !== 200) throw await refusalOf(deps, party, answer);
  const bytes = await bodyOf(answer, "manifest");
  const found = digestOf(bytes);
  if (digest !== undefined && found !== digest) throw otherDigest(answer.who, "manifest", found);
  return { bytes, mediaType: mediaTypeOf(answer), source: sourceOf(party.endpoint) };
}

/** The config of that digest. */
export async function fetchConfigAt(
  deps: AskDeps,
  { party, digest }: { readonly party: Party; readonly digest: Digest },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answer = await ask(deps, { party, method: "GET", path: `blobs/${digest}`, headers: {} }, signal);
  if (answer.incoming.status !== 200) throw await refusalOf(deps, party, answer);
  const bytes = await bodyOf(answer, "config");
  const found = digestOf(bytes);
  if (found !== digest) throw otherDigest(answer.who, "config", found);
  return bytes;
}

/** Resolves when the host answered that it has this manifest. */
export async function proveAt(
  deps: AskDeps,
  { party, digest }: { readonly party: Party; readonly digest: Digest },
  signal: AbortSignal,
): Promise<void> {
  for (const method of ["HEAD", "GET"] as const) {
    const answer = await askManifest(deps, { party, method, name: digest }, signal);
    if (answer.incoming.status === 405 && method === "HEAD") await answer.incoming.discard();
    else if (answer.incoming.status !== 200) throw await refusalOf(deps, party, answer);
    else return answer.incoming.abort(new Error("not wanted any more"));
  }
}

async function askManifest(
  deps: AskDeps,
  { party, method, name }: { party: Party; method: "GET" | "HEAD"; name: string },
  signal: AbortSignal,
): Promise<Answer> {
  return await ask(deps, { party, method, path: `manifests/${name}`, headers: { accept: ACCEPT } }, signal);
}

type Part = "manifest" | "config";

async function bodyOf({ incoming, who }: Answer, part: Part): Promise<Buffer> {
  const tooLong = (words: string) =>
    new Fault("invalid", `${who} sent a ${part} of ${words}`, {
      tries: TRIES.refusal,
      help: "32 MiB is the most that is read; push it in smaller parts",
    });
  const length = Number(incoming.header("content-length") ?? 0);
  if (length > MOST_BYTES) {
    const fault = tooLong(`${(length / 1024 ** 2).toFixed(0)} MiB`);
    incoming.abort(fault);
    throw fault;
  }
  const bytes = await incoming.bytes(MOST_BYTES).catch((error: unknown) => {
    throw networkFault(who, error) ?? error;
  });
  if (bytes === undefined) throw tooLong("more than 32 MiB");
  return bytes;
}

function otherDigest(who: string, part: Part, found: Digest): Fault {
  return new Fault("corrupt", `${who} sent a ${part} of another digest, ${found}`, {
    tries: TRIES.nonsense,
    help: MEND_THERE,
  });
}

function mediaTypeOf({ incoming }: Answer): string {
  return (incoming.header("content-type") ?? "").split(";")[0]?.trim() ?? "";
}

function wellFormed(text: string): Digest | undefined {
  try {
    return parseDigest(text);
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}
