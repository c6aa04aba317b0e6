// Everything the plugin is reached by: the door on its socket, the kubelet's registration, the health pages.

import type { Log } from "../lib/host/log.ts";
import type { Exposition, Metrics } from "../lib/host/metrics.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import type { Clock } from "../lib/volumes/patience.ts";
import packageFile from "../package.json" with { type: "json" };
import { openHealth } from "./health.ts";
import { openRegistration } from "./registration.ts";
import { openServer } from "./server.ts";
import { type Served, servicesOf } from "./services.ts";
import { openSocket, parseEndpoint } from "./socket.ts";

export type ListenPorts = {
  readonly log: Log;
  readonly metrics: Metrics & { expose(): Promise<Exposition> };
  readonly clock: Clock;
  /** What `/readyz` tells beside "ok". */
  readonly notes: readonly string[];
};

export interface Listening extends AsyncDisposable {
  /** Where the health pages are; none where the settings say nowhere. */
  readonly health: string | undefined;
  /** Takes no new calls, and lets those under way finish for `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** The socket appears last but for what tells of it: who can reach it may call. */
export async function listen(settings: NodeSettings, ports: ListenPorts, served: Served): Promise<Listening> {
  const { driver, node, registration: directory, metrics } = settings;
  const { log, clock, notes } = ports;
  const endpoint = parseEndpoint(settings.endpoint);
  const deps = { log, metrics: ports.metrics, now: () => clock.now() };
  await using undo = new AsyncDisposableStack();
  const door = openServer(deps, servicesOf({ driver, node, version: packageFile.version }, served));
  undo.defer(() => door.close(0));
  const gid = settings.socketGroup;
  const socket = undo.use(
    await openSocket(endpoint, { accept: door.accept, ...(gid === undefined ? {} : { gid }) }),
  );
  const registration =
    directory === "" ? undefined : undo.use(await openRegistration(deps, { driver, endpoint, directory }));
  const isAlive = async () => (await socket.isInPlace()) && (await registration?.isInPlace()) !== false;
  const problems = () => [registration?.problem()].filter((problem) => problem !== undefined);
  const health =
    metrics.address &&
    undo.use(await openHealth(metrics.address, { isAlive, problems, notes, metrics: ports.metrics }));
  const opened = undo.move();
  return {
    health: health?.address,
    drain: async (graceMs) => {
      await registration?.[Symbol.asyncDispose]();
      await socket[Symbol.asyncDispose]();
      await door.close(graceMs);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
