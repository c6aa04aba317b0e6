// Which entry of an index is meant for a platform: the choice containerd makes by default.
import { Failure } from "./failure.ts";
import type { Descriptor, Index } from "./manifest.ts";
import { formatPlatform, normalizePlatform, type Platform } from "./platform.ts";

/**
 * The entry of `index` that runs best on `wanted`. An index whose one entry names no platform is that entry.
 * Throws `not-found`, listing the platforms there are.
 */
export function pickPlatform(index: Index, wanted: Platform): Descriptor {
  const entries = index.manifests.filter((entry) => !isAttestation(entry));
  for (const acceptable of platformsFor(wanted)) {
    const text = formatPlatform(acceptable);
    const fitting = entries.find(
      ({ platform }) => platform !== undefined && formatPlatform(normalizePlatform(platform)) === text,
    );
    if (fitting !== undefined) return fitting;
  }
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only !== undefined && !isForSomePlatform(only)) return only;
  throw new Failure("not-found", refusal(entries, wanted));
}

function refusal(entries: readonly Descriptor[], wanted: Platform): string {
  const platforms = new Set(
    entries.map(({ platform }) =>
      platform === undefined ? "one without a platform" : formatPlatform(normalizePlatform(platform)),
    ),
  );
  const there =
    platforms.size === 0
      ? "the index is empty"
      : `the index has ${[...platforms].slice(0, 32).join(", ")}; name one of them with "platform"`;
  return `Cannot pick an entry for the platform "${formatPlatform(wanted)}": ${there}`;
}

const isForSomePlatform = ({ platform }: Descriptor) => platform !== undefined && platform.os !== "unknown";

/** BuildKit puts what it attests about an image beside the image, in the same index. */
const isAttestation = (entry: Descriptor) => entry.annotations.has("vnd.docker.reference.type");

/** What runs on `platform`, best first. */
function platformsFor(platform: Platform): readonly Platform[] {
  const { os, architecture, variant } = normalizePlatform(platform);
  const of = (architecture: string, variants: readonly string[]) =>
    variants.map((variant) => normalizePlatform({ os, architecture, variant }));
  switch (architecture) {
    case "amd64":
      return [...of("amd64", downFrom(variant ?? "v1", 1)), ...of("386", [""])];
    case "arm":
      return of("arm", downFrom(variant ?? "v7", 5));
    case "arm64":
      return [...of("arm64", arm64Variants(variant ?? "v8")), ...of("arm", downFrom("v8", 5))];
    default:
      return of(architecture, [variant ?? ""]);
  }
}

/** `v3` down to 1 is v3, v2, v1; what is not a version stands alone. */
function downFrom(variant: string, lowest: number): readonly string[] {
  const version = Number(/^v([0-9])$/.exec(variant)?.[1]);
  if (!(version >= lowest)) return [variant];
  return Array.from({ length: version - lowest + 1 }, (_, step) => `v${version - step}`);
}

/** Arm v9.x has all of v9.(x-1)…v9.0, and of v8.(x+5) (v8.9 at most) and beneath, since v9.0 left the road at v8.5. */
function arm64Variants(variant: string): readonly string[] {
  const match = /^v([89])(?:\.([0-9]))?$/.exec(variant);
  if (match === null) return [variant];
  const minor = Number(match[2] ?? 0);
  const minors = (major: number, from: number) =>
    Array.from({ length: from + 1 }, (_, step) => (step === from ? `v${major}` : `v${major}.${from - step}`));
  return match[1] === "8" ? minors(8, minor) : [...minors(9, minor), ...minors(8, Math.min(minor + 5, 9))];
}
