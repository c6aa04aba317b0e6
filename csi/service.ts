// A gRPC service as a table of methods, and the check that what it always answers survives the wire.
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { Call } from "../lib/volumes/requests.ts";

/** Sends words along with a granted reply that has no field for them. */
export type Tell = (words: string) => void;

export type Method = {
  readonly required: readonly string[];
  /** Asked so often that a success is not worth a line at the level info. */
  readonly quiet: boolean;
  readonly answer: (request: object, call: Call, tell: Tell) => Promise<object> | object;
  /** What it answers whatever is asked. */
  readonly constant?: object;
};

/** Methods that are not in the table answer UNIMPLEMENTED. */
export type Service = {
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly methods: Readonly<Record<string, Method>>;
};

/** A method that does something. The requests of the wire are held to `Request` by proto/, not by the compiler. */
export function method<Request extends object>(
  required: ReadonlyArray<keyof Request & string>,
  answer: (request: Request, call: Call, tell: Tell) => Promise<object> | object,
  options: { readonly quiet: boolean } = { quiet: false },
): Method {
  const { quiet } = options;
  return { required, quiet, answer: (request, call, tell) => answer(request as Request, call, tell) };
}

/** A method whose answer never changes. */
export function constant(answer: object): Method {
  return { required: [], quiet: true, answer: () => answer, constant: answer };
}

/**
 * Throws where a constant answer does not come back from the wire as it went in: the encoder drops a misspelt
 * field or capability without a word, and the kubelet would then believe that the driver lacks it.
 */
export function checkService(service: Service): void {
  for (const [name, { constant }] of Object.entries(service.methods)) {
    const definition = service.definition[name];
    if (definition === undefined) throw new TypeError(`"${service.name}" has no method "${name}"`);
    if (constant === undefined) continue;
    const decoded: unknown = definition.responseDeserialize(definition.responseSerialize(constant));
    const lost = lostIn(decoded, constant, name);
    if (lost !== undefined) throw new TypeError(`"${lost}" of "${service.name}" does not survive the wire`);
  }
}

/** The first path at which `decoded` lacks what was `sent`. */
function lostIn(decoded: unknown, sent: unknown, at: string): string | undefined {
  if (typeof sent !== "object" || sent === null) return String(decoded) === String(sent) ? undefined : at;
  if (typeof decoded !== "object" || decoded === null) return at;
  const found = new Map(Object.entries(decoded));
  for (const [key, value] of Object.entries(sent)) {
    const lost = lostIn(found.get(key), value, `${at}.${key}`);
    if (lost !== undefined) return lost;
  }
  return undefined;
}
