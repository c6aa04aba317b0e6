// The platform an Artifact was made for, and the rules by which names of it are made alike.
import { Failure } from "./failure.ts";
import type { Fields } from "./fields.ts";

export type Platform = {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
};

/** The Platform that `os/architecture[/variant]` spells, normalised. Throws `invalid`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [os, architecture, variant] = parts;
  if (!os || !architecture || parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part))) {
    throw new Failure(
      "invalid",
      `Cannot read the platform "${text}": write os/architecture or os/architecture/variant, such as linux/arm64`,
    );
  }
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}

/** The text that parses to `platform`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

/** The Platform of a descriptor; none where it does not say for which system and architecture. */
export function toPlatform(fields: Fields | undefined): Platform | undefined {
  const os = fields?.optionalText("os");
  const architecture = fields?.optionalText("architecture");
  if (!os || !architecture) return undefined;
  const variant = fields?.optionalText("variant");
  const osVersion = fields?.optionalText("os.version");
  return { os, architecture, ...(variant ? { variant } : {}), ...(osVersion ? { osVersion } : {}) };
}

const ARCHITECTURES: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ["x86_64", ["amd64"]],
  ["x86-64", ["amd64"]],
  ["i386", ["386"]],
  ["aarch64", ["arm64"]],
  ["armhf", ["arm", "v7"]],
  ["armel", ["arm", "v6"]],
]);

/** One spelling for each platform, as containerd has it: amd64 is v1, arm64 is v8, arm is v7. */
export function normalizePlatform(platform: Platform): Platform {
  const named = platform.architecture.toLowerCase();
  const [architecture, implied] = ARCHITECTURES.get(named) ?? [named];
  const variant = implied ?? normalizeVariant(architecture, (platform.variant ?? "").toLowerCase());
  return {
    os: platform.os.toLowerCase() === "macos" ? "darwin" : platform.os.toLowerCase(),
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...(platform.osVersion === undefined ? {} : { osVersion: platform.osVersion }),
  };
}

function normalizeVariant(architecture: string, variant: string): string {
  const spelt = /^[5-9]$/.test(variant) ? `v${variant}` : variant;
  switch (architecture) {
    case "386":
      return "";
    case "amd64":
      return spelt === "v1" ? "" : spelt;
    case "arm64":
      return spelt === "v8" ? "" : spelt;
    case "arm":
      return spelt === "" ? "v7" : spelt;
    default:
      return spelt;
  }
}
