// A whole door on a socket of its own, over journeys that a test writes.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Reason } from "../../lib/core/failure.ts";
import type { Log, LogFields, LogLevel } from "../../lib/host/log.ts";
import type { Metrics } from "../../lib/host/metrics.ts";
import type { ControllerJourneys } from "../controller.ts";
import type { Journeys } from "../node.ts";
import type { ReportDeps } from "../report.ts";
import { type Door, openServer } from "../server.ts";
import type { Service } from "../service.ts";
import { servicesOf } from "../services.ts";
import { openSocket } from "../socket.ts";
import { type DoorClient, openClient } from "./client.ts";

export type Line = { readonly level: LogLevel; readonly message: string; readonly fields: LogFields };
export type Counted = Parameters<Metrics["countCall"]>[0];

export type AllJourneys = Journeys & ControllerJourneys;

export interface TestDoor extends AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly door: Door;
  readonly client: DoorClient;
  readonly lines: readonly Line[];
  readonly counted: readonly Counted[];
  readonly refusals: readonly Reason[];
}

/** Keeps what the door says as it said it: before the real log would have redacted it. */
export function openTestLog(): { readonly log: Log; readonly lines: readonly Line[] } {
  const lines: Line[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields });
    };
  const log: Log = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: () => log,
  };
  return { log, lines };
}

export const PLATE = { driver: "csi.larder.test", node: "node-1", version: "0.0.0-test" };

/** Every service, claims and all. */
export function servicesOver(journeys: Partial<AllJourneys>): Service[] {
  const missing = () => Promise.reject(new Error("The test did not expect this journey"));
  const none: AllJourneys = {
    publish: missing,
    unpublish: missing,
    stats: missing,
    stage: missing,
    unstage: missing,
    expand: missing,
    createClaim: missing,
    deleteClaim: missing,
    validateClaim: missing,
    readCapacity: missing,
    modifyClaim: missing,
  };
  return servicesOf(PLATE, { claims: true, journeys: { ...none, ...journeys } });
}

export async function openTestDoor(
  journeys: Partial<AllJourneys> = {},
  services: readonly Service[] = servicesOver(journeys),
): Promise<TestDoor> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "larder-door-"));
  const { log, lines } = openTestLog();
  const counted: Counted[] = [];
  const refusals: Reason[] = [];
  const metrics: ReportDeps["metrics"] = {
    countCall: (call) => void counted.push(call),
    countRefusal: (reason) => void refusals.push(reason),
  };
  const door = openServer({ log, metrics, now: Date.now }, services);
  const at = path.join(directory, "csi.sock");
  const socket = await openSocket(at, { accept: door.accept });
  const client = openClient(at);
  return {
    directory,
    socket: at,
    door,
    client,
    lines,
    counted,
    refusals,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await socket[Symbol.asyncDispose]();
      await door.close(0);
      await rm(directory, { recursive: true });
    },
  };
}
