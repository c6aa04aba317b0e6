// A CSI client that knows nothing but proto/csi.proto: calls a driver over its socket as the kubelet would.
import { fileURLToPath } from "node:url";
import type { ServiceClientConstructor, ServiceError } from "@grpc/grpc-js";
import { Client, credentials, loadPackageDefinition, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export type Reply = Record<string, unknown>;
export type CallOptions = {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Called with each note in the metadata behind a reply, before it is given. */
  readonly onNote?: (words: string) => void;
};
export type CsiError = Error & { readonly code: string };

export interface CsiClient extends Disposable {
  /** Such as `call("Node", "NodePublishVolume", {…})`. Rejects with a CsiError. */
  call(service: string, method: string, request?: object, options?: CallOptions): Promise<Reply>;
}

/** What the kubelet allows a call. */
const KUBELET_MS = 120_000;

export function openCsi(socket: string): CsiClient {
  const services = loadServices();
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.enable_channelz": 0 });
  const call: CsiClient["call"] = (service, method, request = {}, options = {}) =>
    new Promise<Reply>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } =
        services[service]?.service[method] ?? missing(method);
      const limits = { deadline: Date.now() + (options.deadlineMs ?? KUBELET_MS) };
      const done = (error: ServiceError | null, reply?: unknown) => {
        if (error) reject(Object.assign(new Error(error.details), { code: status[error.code] }));
        else resolve(reply as Reply);
      };
      const pending = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        limits,
        done,
      );
      pending.once("status", ({ metadata }) => {
        for (const words of metadata.get("larder-note")) options.onNote?.(String(words));
      });
      options.signal?.addEventListener("abort", () => {
        pending.cancel();
      });
    });
  return {
    call,
    [Symbol.dispose]: () => {
      client.close();
    },
  };
}

function loadServices(): Record<string, ServiceClientConstructor> {
  const file = fileURLToPath(new URL("../proto/csi.proto", import.meta.url));
  const form = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
  const loaded = loadPackageDefinition(loadSync(file, form)) as unknown as {
    csi: { v1: Record<string, ServiceClientConstructor> };
  };
  return loaded.csi.v1;
}

function missing(method: string): never {
  throw new TypeError(`proto/csi.proto has no method "${method}"`);
}
