// What an inline volume says about a layer of its own to write to, thrown away with it.
import type { z } from "zod";
import { inodesOfClaim } from "../core/admit-claim.ts";
import { formatBytes, parseBytes } from "../core/quantity.ts";
import { parsed } from "./problems.ts";
import { parseMode, parseSwitch, wholeNumber } from "./texts.ts";

/** The last id that is one: the next means "leave it as it is" to the kernel. */
const LAST_ID = 4_294_967_294;

const DEFAULT_SIZE = "1Gi";

/** How the root of what pods write to looks, and how many files it may hold. */
export const rootAttributes = {
  inodes: parsed(wholeNumber(16, 1e12)).exactOptional().meta({
    description: "The limit on files; one for each 4 KiB of the size.",
  }),
  uid: parsed(wholeNumber(0, LAST_ID)).exactOptional().meta({ description: "Who owns the volume's root." }),
  gid: parsed(wholeNumber(0, LAST_ID))
    .exactOptional()
    .meta({ description: "The group of the volume's root." }),
  mode: parsed(parseMode).exactOptional().meta({
    description: "The mode of the volume's root, such as `2775`.",
  }),
};

export const scratchAttributes = {
  writable: parsed(parseSwitch).prefault("false").meta({
    description: "A private layer to write to, thrown away with the volume.",
  }),
  size: parsed(parseBytes).prefault(DEFAULT_SIZE).meta({
    description: "The limit of what is written, where the node has quotas.",
  }),
  ...rootAttributes,
};

type Said = z.output<z.ZodObject<typeof scratchAttributes>>;

export type ScratchSettings = {
  readonly bytes: number;
  readonly inodes: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
};

/** None for a volume that is only read; what does not go together becomes problems. */
export function toScratch(said: Said, maxSizeBytes: number, problems: string[]): ScratchSettings | undefined {
  const { size, inodes, uid, gid, mode } = said;
  if (!said.writable) {
    const odd = Object.entries({ inodes, uid, gid, mode }).filter(([, value]) => value !== undefined);
    const names = [...(size === parseBytes(DEFAULT_SIZE) ? [] : ["size"]), ...odd.map(([name]) => name)];
    for (const name of names) problems.push(`"${name}" is for writable volumes; set writable to "true"`);
    return undefined;
  }
  if (size < 2 ** 20) problems.push(`size ${formatBytes(size)} is too small; write 1Mi or more`);
  if (size > maxSizeBytes) {
    problems.push(
      `size ${formatBytes(size)} is more than this node gives to inline volumes, ${formatBytes(maxSizeBytes)} (inline.maxSize); use a claim`,
    );
  }
  return {
    bytes: size,
    inodes: inodes ?? inodesOfClaim(size),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(mode === undefined ? {} : { mode }),
  };
}
