// The Unix socket of the door: taken over only from the dead, complete when it appears, never another's to remove.
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { chmod, chown, lstat, rename, rm } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { Failure, isFailure } from "../lib/core/failure.ts";

export interface Socket extends AsyncDisposable {
  readonly path: string;
  /** Whether clients that go to the path still come to us. */
  isInPlace(): Promise<boolean>;
}

export type SocketOptions = {
  readonly accept: (connection: net.Socket) => void;
  /** The group that may connect besides our own user. */
  readonly gid?: number;
};

/** The kernel's limit for the path of a socket, without the NUL: longer ones no client could connect to. */
const PATH_BYTES = 107;

/** The path in `unix:///…/x.sock`. Throws `invalid`. */
export function parseEndpoint(text: string): string {
  const refuse = (why: string) =>
    new Failure("invalid", `Cannot use "${text}" as CSI_ENDPOINT: ${why}; write unix:///directory/name.sock`);
  const found = /^(?:unix:\/\/)?(\/.*)$/s.exec(text)?.[1];
  if (found === undefined) throw refuse("it is no absolute path of a Unix socket");
  if (!found.endsWith(".sock") || found.endsWith("/.sock")) throw refuse("its name does not end in .sock");
  if (path.normalize(found) !== found) throw refuse("its path is not in its shortest form");
  if (Buffer.byteLength(found) > PATH_BYTES) throw refuse(`its path is longer than ${PATH_BYTES} bytes`);
  return found;
}

/** Listens at the path. Throws `in-use` where somebody answers there, or where what lies there is no socket. */
export async function openSocket(at: string, options: SocketOptions): Promise<Socket> {
  await checkFree(at);
  const server = net.createServer((connection) => {
    // A peer that goes away, such as a probe, is no error of ours; unheard, it would end the process.
    connection.on("error", () => undefined);
    options.accept(connection);
  });
  const inode = await listen(server, at, options.gid);
  const isInPlace = async () => (await inodeAt(at)) === inode;
  return {
    path: at,
    isInPlace,
    [Symbol.asyncDispose]: async () => {
      if (await isInPlace()) await rm(at, { force: true });
      server.close();
    },
  };
}

async function checkFree(at: string): Promise<void> {
  const refuse = (why: string) => new Failure("in-use", `Cannot listen at "${at}": ${why}`);
  const found = await lstat(at).catch(absent);
  if (found === undefined) return;
  if (!found.isSocket()) throw refuse("what lies there is not a socket; move it away");
  if (await isAnswered(at)) throw refuse("another process answers there; stop it first");
}

/** Whether anybody listens. A full queue is somebody, too. */
async function isAnswered(at: string): Promise<boolean> {
  const probe = net.connect(at).on("error", () => undefined);
  try {
    await once(probe, "connect");
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code !== "ECONNREFUSED" && code !== "ENOENT";
  } finally {
    probe.destroy();
  }
}

/**
 * Binds under a hidden name beside the path and renames. CSI wants no other file beside the socket, and this one is
 * there for the instant between two system calls: no other directory is sure to be on the same mount, across which
 * no rename goes. In return the socket appears with its mode, its group and a listener, and the kubelet, which
 * watches the registration directory and passes hidden names over, never sees it half made.
 *
 * libuv removes the path it bound when the server closes, whoever has it by then. It is therefore given a path
 * through a descriptor that is closed again, which leads nowhere later, and which has no problem with long paths.
 */
async function listen(server: net.Server, at: string, gid: number | undefined): Promise<string> {
  const directory = openDirectory(path.dirname(at));
  try {
    const hidden = `/proc/self/fd/${directory}/.${path.basename(at)}.new`;
    // Left by a start that died between the two calls.
    await rm(hidden, { force: true });
    bind(server, hidden);
    await once(server, "listening");
    if (gid !== undefined) {
      await chown(hidden, process.getuid?.() ?? 0, gid);
      await chmod(hidden, 0o660);
    }
    const inode = (await inodeAt(hidden)) ?? "";
    await rename(hidden, at);
    return inode;
  } catch (cause) {
    server.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw isFailure(cause)
      ? cause
      : new Failure("unavailable", `Cannot listen at "${at}": ${why}`, { cause });
  } finally {
    closeSync(directory);
  }
}

/** Mode 0600 from the first moment; bind(2) happens inside listen(), so that nothing else sees the umask. */
function bind(server: net.Server, at: string): void {
  const umask = process.umask(0o177);
  try {
    server.listen(at);
  } finally {
    process.umask(umask);
  }
}

function openDirectory(directory: string): number {
  try {
    return openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new Failure(
      "not-found",
      `Cannot listen in "${directory}": it is not a directory that can be opened; create it or mount it there`,
      { cause },
    );
  }
}

async function inodeAt(at: string): Promise<string | undefined> {
  const found = await lstat(at, { bigint: true }).catch(absent);
  return found && `${found.dev}:${found.ino}`;
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
