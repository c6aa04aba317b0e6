// Pushes one version of a Cache: base, blobs, config, manifest, each asked for again; then its tag, then the key's.
import { digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { bringBase, MOST_ORAS_MANIFEST_BYTES } from "./bring-base.ts";
import { Fault, failureOf, TRIES } from "./fault.ts";
import { moveKey } from "./move-key.ts";
import { persist } from "./persist.ts";
import { confirmTag, putManifest, putTag, readStanding, standingOrBroken } from "./put-manifest.ts";
import { sendBlob } from "./send-blob.ts";
import {
  nameOf,
  type OwnBlob,
  type PushDeps,
  type PushOutcome,
  type VersionPush,
  type Watch,
} from "./version-push.ts";

/**
 * Resolves once the registry has confirmed all of it. May be stopped anywhere and called again: it sends only what the
 * registry lacks, and nothing is tagged before everything it names is there. Failures: denied, full, out-of-range,
 * conflict (immutable tags), unavailable, invalid, unsupported; never not-found. Cancelled, it rejects with the
 * signal's reason.
 */
export async function pushVersion(deps: PushDeps, version: VersionPush, watch: Watch): Promise<PushOutcome> {
  const { access, manifest, tag } = version;
  refuseLarge(version);
  const content = await sendContent(deps, version, watch);
  if (content.kind === "base-missing") return content;
  await watch.onStep?.("checked");
  await watch.beforeTag?.();
  await nameVersion(deps, version, watch);
  const moved = await moveKey(deps, version, watch);
  const digest = digestOf(manifest.bytes);
  await confirmTag(deps, { access, tag, digest }, watch);
  return { kind: "pushed", digest, sentBytes: content.sentBytes, ...moved };
}

/** ORAS would only say so at the end. */
function refuseLarge({ access, manifest, tag }: VersionPush): void {
  if (manifest.bytes.length <= MOST_ORAS_MANIFEST_BYTES) return;
  throw new Failure(
    "out-of-range",
    `Cannot push ${nameOf(access)}:${tag}: its manifest has ${manifest.bytes.length} bytes, more than the 4 MiB ORAS takes; make it of fewer layers`,
  );
}

type Content =
  | { readonly kind: "sent"; readonly sentBytes: number }
  | Extract<PushOutcome, { readonly kind: "base-missing" }>;

/** Until everything is there: a registry may confirm what it does not keep. */
async function sendContent(deps: PushDeps, version: VersionPush, watch: Watch): Promise<Content> {
  const { access, tag } = version;
  let sentBytes = 0;
  const attempt = async (): Promise<Content> => {
    const missing = await bringBase(deps, version, watch.signal);
    if (missing !== undefined) {
      const layers = missing.layers.map(({ digest }) => digest);
      return { kind: "base-missing", layers, why: missing.why };
    }
    await watch.onStep?.("base");
    await sendBlobs(deps, version, { ...watch, onSent: (bytes) => (sentBytes += bytes) });
    const lost = await putAndAskAgain(deps, version, watch);
    if (lost.length === 0) return { kind: "sent", sentBytes };
    throw new Fault(
      "unavailable",
      `the registry confirmed ${lost.join(" and ")}, and does not have it whole`,
      {
        tries: TRIES.nonsense,
        help: "nothing was tagged, and all of it is still on this node; tell the registry's administrator",
      },
    );
  };
  try {
    return await persist(deps, access.host, attempt, watch.signal);
  } catch (error) {
    throw error instanceof Fault ? failureOf(error, `push ${nameOf(access)}:${tag}`) : error;
  }
}

async function sendBlobs(
  deps: PushDeps,
  { access, layers, config }: VersionPush,
  watch: Watch & { readonly onSent: (bytes: number) => void },
): Promise<void> {
  const blobs = [...layers, configBlob(config)];
  const totalBytes = blobs.reduce((sum, { size }) => sum + size, 0);
  let doneBytes = 0;
  watch.onProgress?.({ doneBytes, totalBytes });
  for (const [at, blob] of blobs.entries()) {
    const onRead = (bytes: number) => watch.onProgress?.({ doneBytes: doneBytes + bytes, totalBytes });
    watch.onSent(await sendBlob(deps, { access, blob, onRead }, watch.signal));
    doneBytes += blob.size;
    watch.onProgress?.({ doneBytes, totalBytes });
    await watch.onStep?.(at < layers.length ? "blob" : "config");
  }
}

/** What the registry does not have whole, in words. */
async function putAndAskAgain(
  deps: PushDeps,
  version: VersionPush,
  watch: Watch,
): Promise<readonly string[]> {
  const { access, base, layers, config, manifest } = version;
  const put = await putManifest(deps, version, watch.signal);
  if (put === "stands") await watch.onStep?.("manifest");
  const blobs = [...base.layers, ...layers, configBlob(config)];
  const held = await Promise.all(
    blobs.map(async (blob) => await deps.upstream.holds(access, blob, watch.signal)),
  );
  const lost = blobs.filter((_, at) => held[at] !== "whole").map(({ digest }) => `the blob ${digest}`);
  if (lost.length > 0) return lost;
  const digest = digestOf(manifest.bytes);
  const stands = put === "stands" && (await standingOrBroken(deps, { access, digest }, watch.signal));
  return stands === "whole" ? [] : [`the manifest ${digest}`];
}

/**
 * A version's tag is never moved from what others put there. What an earlier call packed otherwise was not whole any
 * more, or that call's end would have been taken up.
 */
async function nameVersion(deps: PushDeps, version: VersionPush, watch: Watch): Promise<void> {
  const { access, manifest, tag } = version;
  const found = await deps.upstream.standing(access, tag, watch.signal);
  const isThis = found?.digest === digestOf(manifest.bytes);
  const earlier = found === undefined || isThis ? undefined : readStanding(found);
  if (found !== undefined && !isThis && (earlier === undefined || !version.isSame(earlier))) {
    throw new Failure(
      "conflict",
      `Cannot tag ${nameOf(access)}:${tag}: another version has that tag, ${found.digest}; delete it there, or this volume's write-back`,
    );
  }
  if (!isThis) await putTag(deps, { access, manifest, tag }, watch.signal);
  await watch.onStep?.("version-tag");
}

function configBlob(config: Uint8Array): OwnBlob {
  return { digest: digestOf(config), size: config.length, content: config };
}
