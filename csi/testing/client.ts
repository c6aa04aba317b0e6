// A typed client of the door, for tests.
import type { MethodDefinition, ServiceDefinition, ServiceError } from "@grpc/grpc-js";
import { Client, credentials, status } from "@grpc/grpc-js";
import { loadService } from "../protocol.ts";

export type CallOptions = { readonly deadlineMs?: number; readonly signal?: AbortSignal };

export function openClient(socket: string, file = "csi.proto"): DoorClient {
  return new DoorClient(socket, file);
}

/** Methods are named such as `csi.v1.Node/NodeGetInfo`. */
export class DoorClient implements Disposable {
  readonly #client: Client;
  readonly #file: string;
  readonly #services = new Map<string, ServiceDefinition>();

  constructor(socket: string, file: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.enable_channelz": 0 });
    this.#file = file;
  }

  /** The reply; rejects with a ServiceError. */
  call<Reply = Record<string, unknown>>(
    name: string,
    request: object = {},
    options: CallOptions = {},
  ): Promise<Reply> {
    const { path, requestSerialize, responseDeserialize } = this.#methodAt(name);
    const limits = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply?: unknown) => {
        if (error) reject(error);
        else resolve(reply as Reply);
      };
      const client = this.#client;
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        limits,
        done,
      );
      options.signal?.addEventListener("abort", () => {
        call.cancel();
      });
    });
  }

  /** The code's name and the message of a call that must fail. */
  async refusal(name: string, request?: object, options?: CallOptions): Promise<Refusal> {
    const error = await this.call(name, request, options).then(
      () => undefined,
      (error: ServiceError) => error,
    );
    if (error === undefined) throw new Error(`"${name}" was granted`);
    return { code: status[error.code], message: error.details };
  }

  #methodAt(name: string): MethodDefinition<unknown, unknown> {
    const [service = "", method = ""] = name.split("/");
    const definition = this.#services.get(service) ?? loadService(this.#file, service);
    this.#services.set(service, definition);
    return definition[method] ?? missing(name);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

export type Refusal = { readonly code: string; readonly message: string };

function missing(name: string): never {
  throw new TypeError(`There is no method "${name}"`);
}
