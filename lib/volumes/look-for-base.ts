// Looks for a claim's base when it is made, so that its owner hears of trouble, and its pull begins, before a pod waits.
import type { BaseLook, KeyAnswer } from "../core/base-look.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { isFailure } from "../core/failure.ts";
import type { Answer } from "../core/plan-base.ts";
import { type CacheAnswers, chooseBase } from "./choose-base.ts";
import { beginBase, type FindDeps, type Found } from "./lease-base.ts";
import { withPatience } from "./patience.ts";
import type { Call } from "./requests.ts";

/** What does not answer within this is told, and asked again by the first stage, which has more time. */
const LOOK_MS = 3_000;
/** Volume contexts are small. */
const LONGEST_WARNING = 1000;

type Looking = { readonly secrets: ReadonlyMap<string, string>; readonly call: Call };
type Looked = { readonly answers: Omit<BaseLook, "atMs">; readonly warning?: string };

/**
 * The Record with what was found and what is to be said of it, once: what its owner was told stays. Never fails for what
 * registries do; nothing of it fixes the base. Where they have it, the pull of what is not here has begun.
 */
export async function lookForBase(
  deps: FindDeps,
  record: ClaimRecord,
  { secrets, call }: Looking,
): Promise<ClaimRecord> {
  if (isLookedFor(record)) return record;
  const atMs = deps.clock.now();
  const patienceMs = Math.min(LOOK_MS, (call.deadline - atMs) / 4);
  const { answers, warning } = await withPatience(deps.clock, { signal: call.signal, patienceMs }, (asking) =>
    look(deps, record, { secrets, asking }),
  );
  // For nobody who hears it.
  call.signal.throwIfAborted();
  const looked = { ...record, look: { atMs, ...answers }, ...warn(record, warning) };
  await deps.claims.write(looked);
  if (warning !== undefined) deps.log.warn(warning, { volume: record.volumeId });
  return looked;
}

/** Whether that was done, or is not called for. Until then no call for the claim was answered with OK. */
export function isLookedFor(record: ClaimRecord): boolean {
  return !hasSource(record) || record.look !== undefined || record.base !== undefined;
}

const hasSource = ({ settings: { cache, from }, terms }: ClaimRecord) =>
  from !== undefined || (cache !== undefined && terms.policy !== "push");

async function look(
  deps: FindDeps,
  record: ClaimRecord,
  { secrets, asking }: Pick<Looking, "secrets"> & { readonly asking: AbortSignal },
): Promise<Looked> {
  const search = { record, secrets, signal: asking, asking, tell: () => undefined };
  const attempt = async (found: Found) => await beginBase(deps, search, found);
  try {
    const { answers, note, isTainted } = await chooseBase(deps, search, { answers: {}, attempt });
    if (note === undefined) return { answers: toLook(answers) };
    return { answers: toLook(answers), warning: isTainted ? `${note}; its first stage looks again` : note };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return {
      answers: {},
      warning: `The claim has no base yet, and its first stage looks again: ${error.message}`,
    };
  }
}

function toLook({ head, restored }: CacheAnswers): Omit<BaseLook, "atMs"> {
  const answers = { head: toKeyAnswer(head), restored: toKeyAnswer(restored) };
  return {
    ...(answers.head === undefined ? {} : { head: answers.head }),
    ...(answers.restored === undefined ? {} : { restored: answers.restored }),
  };
}

/** What failed is asked again. */
function toKeyAnswer(answer: Answer<Found> | undefined): KeyAnswer | undefined {
  if (answer === undefined || answer.kind === "failed") return undefined;
  if (answer.kind === "absent") return answer;
  const { reference, bytes, version } = answer.found;
  if (reference?.digest === undefined) return undefined;
  return { kind: "found", digest: reference.digest, bytes, ...(version === undefined ? {} : { version }) };
}

function warn({ warning }: ClaimRecord, more: string | undefined): Pick<ClaimRecord, "warning"> {
  if (more === undefined) return {};
  const all = [...(warning === undefined ? [] : [warning]), more].join(". ");
  // Half a character is no text, and what reads the reply would refuse all of it.
  return { warning: all.slice(0, LONGEST_WARNING).toWellFormed() };
}
