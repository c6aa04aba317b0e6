// Holds every connection that a server accepts to a rate, in the kernel: no proxy that would take processor time.
import { readdir, readlink } from "node:fs/promises";
import koffi from "koffi";

const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const SOL_SOCKET = 1;
const SO_MAX_PACING_RATE = 47;
const SO_ACCEPTCONN = 30;

const libc = koffi.load("libc.so.6");
const syscall = libc.func("long syscall(long, long, long, long)");
const setsockopt = libc.func("int setsockopt(int, int, int, const void *, uint)");
const getsockopt = libc.func("int getsockopt(int, int, int, _Out_ void *, _Inout_ uint *)");
const close = libc.func("int close(int)");

/**
 * From now on, what `pid` sends over each connection it accepts goes at most at `bytesPerSecond`; without one, freely.
 * Accepted sockets inherit it from the listening ones, which are borrowed from the process for a moment.
 */
export async function paceConnections(pid: number, bytesPerSecond?: number): Promise<void> {
  const process = need("pidfd_open", syscall(SYS_PIDFD_OPEN, pid, 0, 0));
  let found = 0;
  try {
    for (const fd of await socketsOf(pid)) {
      const socket = need("pidfd_getfd", syscall(SYS_PIDFD_GETFD, process, fd, 0));
      if (isListening(socket)) found += setRate(socket, bytesPerSecond);
      close(socket);
    }
  } finally {
    close(process);
  }
  if (found === 0)
    throw new Error(`Process ${pid} listens nowhere, so that no connection can be held to a rate`);
}

async function socketsOf(pid: number): Promise<number[]> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
  return names.filter((_, index) => links[index]?.startsWith("socket:")).map(Number);
}

function isListening(socket: number): boolean {
  const value = Buffer.alloc(4);
  return getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, value, [4]) === 0 && value.readInt32LE() === 1;
}

function setRate(socket: number, bytesPerSecond: number | undefined): 1 {
  const rate = Buffer.alloc(8);
  rate.writeBigUInt64LE(bytesPerSecond === undefined ? 2n ** 64n - 1n : BigInt(bytesPerSecond));
  need("setsockopt", setsockopt(socket, SOL_SOCKET, SO_MAX_PACING_RATE, rate, 8));
  return 1;
}

function need(call: string, result: number): number {
  if (result < 0) throw new Error(`${call} failed with errno ${koffi.errno()}`);
  return result;
}
