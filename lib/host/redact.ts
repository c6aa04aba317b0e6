// What may be said of a value in the log: no secrets, nothing endless.

const secretName = /secret|passw|token|auth|credential|cookie|apikey|api-key|dockerconfig|privatekey/i;
const longestText = 4096;
const mostItems = 100;
const deepest = 6;
const hidden = "[redacted]";

const secretTexts: ReadonlyArray<readonly [pattern: RegExp, kept: string]> = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${hidden}`],
  // The user and password of an address.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^/\s@"]+@/gi, `$1${hidden}@`],
  // Signed storage addresses carry their right in the query.
  [/([?&][^=&\s"]*(?:signature|sig|token|credential|key)[^=&\s"]*=)[^&\s"]+/gi, `$1${hidden}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, hidden],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, hidden],
];

/** The text without what looks like a credential, cut at 4 KiB. */
export function redactText(text: string): string {
  const clean = secretTexts.reduce((left, [pattern, kept]) => left.replace(pattern, kept), text);
  return clean.length > longestText ? `${clean.slice(0, longestText)}… (${clean.length} characters)` : clean;
}

/** A plain copy fit for JSON: what is named like a secret is gone whole, bytes are only counted, depth is bounded. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) return "[deeper]";
  return redactObject(value, depth);
}

function redactObject(value: object, depth: number): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[no date]" : value.toISOString();
  if (value instanceof Error) return redactError(value, depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map)
    return redactEntries(
      [...value].map(([key, item]) => [String(key), item]),
      depth,
    );
  const items = value instanceof Set ? [...value] : value;
  if (Array.isArray(items)) return items.slice(0, mostItems).map((item) => redact(item, depth + 1));
  return redactEntries(Object.entries(value), depth);
}

function redactEntries(entries: ReadonlyArray<readonly [string, unknown]>, depth: number): unknown {
  return Object.fromEntries(
    entries
      .slice(0, mostItems)
      .map(([name, item]) => [
        name,
        secretName.test(name) && item !== undefined ? hidden : redact(item, depth + 1),
      ]),
  );
}

/** Its stack and its cause; not its other fields, where libraries keep whole requests. */
function redactError(error: Error, depth: number): unknown {
  const named = (name: string) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" ? { [name]: redactText(value) } : {};
  };
  return {
    ...named("reason"),
    ...named("code"),
    ...named("detail"),
    message: redactText(error.message),
    stack: redactText(error.stack ?? ""),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
