// Peers that are daemons: started, waited for until their socket answers, and ended by their process id.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export type Daemon = AsyncDisposable & { readonly pid: number };

export type DaemonOptions = {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly socket: string;
};

/** Returns when the socket answers. Throws with the end of its log when it ends before. */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const child = spawn(options.program, options.args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], ...options.environment },
  });
  const ended = once(child, "exit");
  const log = tailOf(child);
  while (!(await isAlive(options.socket))) {
    if (child.exitCode !== null)
      throw new Error(`${options.program} ended before it answered:\n${log.join("")}`);
    await pause(20);
  }
  return {
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function tailOf(child: ChildProcess): readonly string[] {
  const tail: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    tail.push(text);
    if (tail.length > 20) tail.shift();
  });
  return tail;
}

function isAlive(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = connect(socket);
  connection.once("connect", () => {
    connection.destroy();
    resolve(true);
  });
  connection.once("error", () => {
    resolve(false);
  });
  return promise;
}
