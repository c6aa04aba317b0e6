// One life of the plugin as a process: from its environment and settings until a signal has stopped it.
import { BlockingThreads } from "../lib/host/blocking.ts";
import { openLog, standardErrorLines } from "../lib/host/log.ts";
import { readTextFile } from "../lib/host/text-file.ts";
import { parseNode } from "../lib/settings/node.ts";
import { openOutside } from "./outside.ts";
import { startPlugin } from "./plugin.ts";
import type { Ports } from "./ports.ts";

/** Resolves once everything is in order after SIGTERM or SIGINT. `wrap` is between the plugin and the outside world. */
export async function runPlugin(
  env: NodeJS.ProcessEnv,
  wrap: (outside: Ports) => Ports = (outside) => outside,
): Promise<void> {
  const config = env["LARDER_CONFIG"];
  const text = config === undefined ? "" : await readTextFile(config, "LARDER_CONFIG, the node's settings,");
  const settings = parseNode(text, env);
  const log = openLog({ level: settings.logLevel, now: Date.now, write: standardErrorLines() });
  const blocking = new BlockingThreads({ patienceMs: 20 });
  const outside = wrap(await openOutside(settings, log, blocking, env));
  const plugin = await startPlugin(settings, outside);
  const stopping = Promise.withResolvers<NodeJS.Signals>();
  // Not once(): execa ends the process at a signal, while a program runs, where nobody listens besides.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stopping.resolve);
  log.info("Stopping", { signal: await stopping.promise });
  await plugin.stop();
  await outside.unpacker[Symbol.asyncDispose]();
  await outside.packer[Symbol.asyncDispose]();
  await outside.trimmer[Symbol.asyncDispose]();
  await outside.remover[Symbol.asyncDispose]();
  await outside.reader[Symbol.asyncDispose]();
  await blocking[Symbol.asyncDispose]();
  log.info("Stopped");
  // exit() would wait for a thread that hangs in the kernel, perhaps for ever.
  if (blocking.stuck > 0) process.kill(process.pid, "SIGKILL");
}
