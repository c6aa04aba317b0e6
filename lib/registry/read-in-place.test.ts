import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import tls from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { makeSelfSigned } from "../../testing/self-signed.ts";
import { Transport } from "./transport.ts";

const never = new AbortController().signal;
/** Less than what the kernel keeps for a socket that nobody reads. */
const body = randomBytes(100_000);

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function serve(secure: boolean, answer: (socket: Socket) => void) {
  const own = makeSelfSigned(new Date(Date.now() + 3_600_000));
  const onSocket = (socket: Socket) => {
    socket.on("error", () => {});
    socket.on("data", () => answer(socket));
  };
  const server: Server = secure ? tls.createServer(own, onSocket) : net.createServer(onSocket);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.defer(async () => {
    server.close();
    await once(server, "close");
  });
  const transport = open.use(new Transport({}));
  const url = new URL(`${secure ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const trust = secure ? { ca: [own.cert] } : {};
  return async () => await transport.send({ method: "GET", url, headers: {}, trust }, never);
}

const headOf = (more: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${more}\r\n`;

describe.each([
  ["a plain connection", false],
  ["TLS", true],
] as const)("readInPlace() over %s", (_, secure) => {
  it("keeps what came before anybody reads, and its end after it", async () => {
    const gone = Promise.withResolvers<void>();
    const ask = await serve(secure, (socket) => {
      socket.end(Buffer.concat([Buffer.from(headOf("connection: close\r\n")), body]), () => gone.resolve());
    });
    const incoming = await ask();
    await gone.promise;
    const bytes = await incoming.bytes(body.length);
    expect(bytes?.equals(body)).toBe(true);
  });

  it("carries answers one after the other over one connection, in pieces of any size", async () => {
    const ask = await serve(secure, (socket) => {
      socket.write(headOf(""));
      for (let at = 0, size = 1; at < body.length; at += size, size = Math.min(40_000, size * 7))
        socket.write(body.subarray(at, at + size));
    });
    for (let turn = 0; turn < 5; turn++) {
      const pieces: Buffer[] = [];
      await (await ask()).pour((chunk) => pieces.push(Buffer.from(chunk)));
      expect(Buffer.concat(pieces).equals(body)).toBe(true);
    }
  });
});
