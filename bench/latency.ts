// A registry that is far away: passes connections on to one nearby, each thing said taking its time on the way.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export interface Distance extends AsyncDisposable {
  /** `127.0.0.1:PORT`, in place of the registry's. */
  readonly host: string;
  /** From now on, for a question and its answer together, and for a connection to be made. */
  roundTripMs: number;
}

export async function openDistance(host: string): Promise<Distance> {
  const [address, port] = host.split(":");
  const sockets = new Set<Socket>();
  const distance = { roundTripMs: 0 };
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ host: address ?? "", port: Number(port), noDelay: true, allowHalfOpen: true });
    // The kernel makes the connection to us at once: that, too, takes a round trip from far away.
    const readyMs = performance.now() + distance.roundTripMs;
    carry(near, far, () => Math.max(readyMs, performance.now()) + distance.roundTripMs / 2);
    carry(far, near, () => performance.now() + distance.roundTripMs / 2);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(distance, {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
}

/** In order, whenever each is due; what waits is bounded by the sender's window. */
function carry(from: Socket, to: Socket, due: () => number): void {
  let last = Promise.resolve();
  const at = (act: () => void) => {
    const wait = due() - performance.now();
    const arrived = wait < 0.5 ? Promise.resolve() : pause(wait);
    last = Promise.all([last, arrived]).then(act);
  };
  from.on("data", (chunk) => {
    at(() => {
      if (to.destroyed || to.write(chunk)) return;
      from.pause();
      to.once("drain", () => from.resume());
    });
  });
  from.once("end", () => at(() => to.end()));
}
