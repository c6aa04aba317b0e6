// What the CSI specification demands of every request, whatever its method.
import { Failure } from "../lib/core/failure.ts";

const STRING_BYTES = 128;
const MAP_BYTES = 4096;

/** What csi.proto bans from the name of a volume: control characters, but for common white space. */
const BANNED_IN_NAMES = /[^\P{Cc}\t\n\r]/u;

/** The fields of csi.proto that are maps; decoded, they look like messages. */
const MAPS: ReadonlySet<string> = new Set([
  "volume_context",
  "publish_context",
  "parameters",
  "mutable_parameters",
  "segments",
]);

/** Throws `invalid` where a required field is missing or a field is longer than the specification allows. */
export function checkRequest(request: object, required: readonly string[]): void {
  const fields = new Map(Object.entries(request));
  for (const name of required) {
    const value: unknown = fields.get(name);
    if (
      value === "" ||
      value === null ||
      value === undefined ||
      (Array.isArray(value) && value.length === 0)
    ) {
      throw new Failure("invalid", `Cannot take the call: it lacks "${name}", which the caller must send`);
    }
  }
  for (const [name, value] of fields) checkField(name, value);
}

function checkField(name: string, value: unknown): void {
  // Kubernetes hands its Secrets over as they are, up to 1 MiB: a registry's pull secret is often above 4 KiB.
  if (name === "secrets") return;
  if (typeof value === "string") return checkString(name, value);
  if (Array.isArray(value)) return checkList(name, value);
  if (typeof value !== "object" || value === null) return;
  if (MAPS.has(name)) return checkMap(name, value as Record<string, string>);
  for (const [inner, field] of Object.entries(value)) checkField(inner, field);
}

function checkString(name: string, value: string): void {
  const refuse = (why: string) =>
    new Failure("invalid", `Cannot take the call: ${JSON.stringify(value)} in "${name}" holds ${why}`);
  if (value.includes("\0")) throw refuse("a NUL");
  if (name === "name" && BANNED_IN_NAMES.test(value)) throw refuse("a control character");
  // The specification exempts paths, whose limit is the kernel's.
  if (!name.endsWith("_path")) checkSize(name, Buffer.byteLength(value), STRING_BYTES);
}

function checkList(name: string, values: readonly unknown[]): void {
  if (!values.every((value) => typeof value === "string")) {
    for (const value of values) checkField(name, value);
    return;
  }
  checkSize(name, bytesOf(values), MAP_BYTES);
}

function checkMap(name: string, map: Record<string, string>): void {
  // What the kubelet adds, service account tokens among it, is not in the pod owner's power to shorten.
  const own = Object.entries(map).filter(([key]) => !key.startsWith("csi.storage.k8s.io/"));
  checkSize(name, bytesOf(own.flat()), MAP_BYTES);
}

function checkSize(name: string, bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw new Failure(
    "invalid",
    `Cannot take the call: "${name}" is ${bytes} bytes long, and at most ${limit} are allowed; shorten it`,
  );
}

const bytesOf = (values: readonly string[]) =>
  values.reduce((sum, value) => sum + Buffer.byteLength(value), 0);
