// Sockets that receive into one piece of memory again and again, where Node would take 64 KiB of new memory for each read.
import type net from "node:net";

/** As much as one read may bring; written in larger pieces it takes memory of the host that smaller ones find at hand. */
const READ_BYTES = 64 * 1024;

/**
 * What `net.connect` and `tls.connect` take as `onread`. undici asks a socket for what has come when it says `readable`,
 * and uses it up at once: it is handed the very memory. Only what it leaves, having been told to wait, is copied, and
 * waits where Node keeps it, so that the end comes after it.
 */
export function readInPlace() {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const offers = new WeakMap<net.Socket, (chunk: Buffer) => boolean>();
  return {
    buffer,
    /** Whether to receive more. */
    callback(this: net.Socket, length: number): boolean {
      const offer = offers.get(this) ?? offersOf(this);
      offers.set(this, offer);
      return offer(buffer.subarray(0, length));
    },
  };
}

/** Offers to the socket's reader what stays valid for the length of the call. */
function offersOf(socket: net.Socket): (chunk: Buffer) => boolean {
  const read = socket.read.bind(socket);
  const unshift = socket.unshift.bind(socket);
  let offered: Buffer | null = null;
  let isStopped = false;
  socket.read = (size?: number): Buffer | null => {
    if (offered !== null && size !== 0) {
      const chunk = offered;
      offered = null;
      return chunk;
    }
    const kept = read(size) as Buffer | null;
    if (isStopped && socket.readableLength === 0) {
      isStopped = false;
      socket.resume();
    }
    return kept;
  };
  socket.unshift = (chunk: Buffer) => unshift(Buffer.from(chunk));
  return (chunk) => {
    offered = chunk;
    // Not before what waits: TLS brings the rest of what it has decrypted even when it was told to wait.
    if (socket.readableLength === 0) socket.emit("readable");
    const left = offered;
    offered = null;
    if (left !== null) socket.push(Buffer.from(left));
    isStopped = socket.readableLength > 0;
    return !isStopped;
  };
}
