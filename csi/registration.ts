// Makes the driver known to the kubelet: a second small socket in its registration directory.
import path from "node:path";
import type { Log } from "../lib/host/log.ts";
import { loadService } from "./protocol.ts";
import type { ReportDeps } from "./report.ts";
import { openServer } from "./server.ts";
import { constant, method, type Service } from "./service.ts";
import { openSocket } from "./socket.ts";

export type RegistrationOptions = {
  readonly driver: string;
  /** The door's socket as the kubelet sees it, which is a path of the host's. */
  readonly endpoint: string;
  /** The kubelet's `plugins_registry`. */
  readonly directory: string;
};

export interface Registration extends AsyncDisposable {
  /** Why the driver is not registered, in words; undefined once it is. */
  problem(): string | undefined;
  /** Whether the kubelet can still find the socket: without it the kubelet drops the driver for good. */
  isInPlace(): Promise<boolean>;
}

type RegistrationStatus = { readonly plugin_registered: boolean; readonly error: string };
type Standing = { problem: string | undefined };

/**
 * The kubelet finds the socket, asks, and says what came of it. It asks again by itself, more and more seldom, as
 * long as the socket is there: a refusal is told and waited out. Disposing takes the driver off the kubelet's list.
 */
export async function openRegistration(
  deps: ReportDeps,
  options: RegistrationOptions,
): Promise<Registration> {
  const standing: Standing = { problem: "the kubelet has not asked for the driver yet" };
  const door = openServer(deps, [registrationService(options, standing, deps.log)]);
  const socket = await openSocket(path.join(options.directory, `${options.driver}-reg.sock`), {
    accept: door.accept,
  });
  return {
    problem: () => standing.problem,
    isInPlace: () => socket.isInPlace(),
    [Symbol.asyncDispose]: async () => {
      await socket[Symbol.asyncDispose]();
      await door.close(0);
    },
  };
}

function registrationService(
  { driver, endpoint }: RegistrationOptions,
  standing: Standing,
  log: Log,
): Service {
  return {
    name: "pluginregistration.Registration",
    definition: loadService("pluginregistration.proto", "pluginregistration.Registration"),
    methods: {
      // The kubelet takes any version of major 1 and speaks its own.
      GetInfo: constant({ type: "CSIPlugin", name: driver, endpoint, supported_versions: ["1.0.0"] }),
      NotifyRegistrationStatus: method<RegistrationStatus>([], ({ plugin_registered, error }) => {
        standing.problem = plugin_registered ? undefined : `the kubelet refused the driver: ${error}`;
        if (plugin_registered) log.info("The kubelet registered the driver", { driver });
        else log.error("The kubelet refused to register the driver", { driver, why: error });
        return {};
      }),
    },
  };
}
