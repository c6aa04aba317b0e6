// The one log line and the one measurement of every call.
import type { Log, LogLevel } from "../lib/host/log.ts";
import type { Metrics } from "../lib/host/metrics.ts";
import { describeRequest, scrub } from "./redact.ts";
import { type Answer, codeSeen, isGranted } from "./status.ts";
import { storyOf } from "./story.ts";

export type ReportDeps = {
  readonly log: Log;
  readonly metrics: Pick<Metrics, "countCall" | "countRefusal">;
  readonly now: () => number;
};

export type FinishedCall = {
  readonly method: string;
  readonly isQuiet: boolean;
  readonly request: object;
  readonly answer: Answer;
  /** What the answer was made from, where it is not granted. */
  readonly error: unknown;
  readonly began: number;
  readonly deadline: number;
  /** Whether the caller had gone before the answer. */
  readonly isUnheard: boolean;
};

export function report({ log, metrics, now }: ReportDeps, call: FinishedCall): void {
  const { method, request, answer } = call;
  const ended = now();
  // A clock may be set back.
  const ms = Math.max(0, ended - call.began);
  const code = codeSeen(answer, call.isUnheard ? { isLate: ended >= call.deadline } : undefined);
  metrics.countCall({ method, code, seconds: ms / 1000 });
  if (answer.reason !== undefined && answer.reason !== "pending") metrics.countRefusal(answer.reason);
  const fields = { method, code, ms, ...describeRequest(request), ...wordsOf(call) };
  log[levelOf(call)](isGranted(answer) ? "Call answered" : "Call not granted", fields);
}

function levelOf({ isQuiet, answer }: FinishedCall): LogLevel {
  if (isGranted(answer)) return isQuiet ? "debug" : "info";
  if (answer.reason === undefined) return "error";
  return answer.reason === "pending" || answer.reason === "busy" ? "info" : "warn";
}

/** What the caller was told, and what only the log may hold: stacks and causes, each by itself, since long ones are cut. */
function wordsOf({ request, answer, error }: FinishedCall): Record<string, string | readonly string[]> {
  if (isGranted(answer)) return {};
  const [stack = "", ...causes] = storyOf(error).map((told) => scrub(told, request));
  const told = answer.reason === undefined ? { stack } : { reason: answer.reason, why: answer.message };
  return causes.length === 0 ? told : { ...told, causes };
}
