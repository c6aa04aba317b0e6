// What of a request may be seen in a log line, and what must be taken out of any text that leaves the door.

/** Plain fields that identify a call. Everything else is left out, so that a new field stays hidden. */
const SHOWN = ["volume_id", "name", "target_path", "volume_path", "staging_target_path", "readonly"];

/** Attributes whose values help to read a log. A pod may write anything under any other name. */
const SHOWN_ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ["csi.storage.k8s.io/pod.namespace", "namespace"],
  ["csi.storage.k8s.io/pod.name", "pod"],
  ["csi.storage.k8s.io/pod.uid", "podUid"],
  ["reference", "reference"],
  ["oras.artifact.reference", "reference"],
  ["csi.storage.k8s.io/pvc/namespace", "namespace"],
  ["csi.storage.k8s.io/pvc/name", "claim"],
  ["cache", "cache"],
  ["key", "key"],
  ["from", "from"],
  ["policy", "policy"],
  ["outcome", "outcome"],
]);

/** The maps of a request that hold attributes. */
const ATTRIBUTES = ["volume_context", "parameters", "mutable_parameters"];

const TOKENS = "csi.storage.k8s.io/serviceAccount.tokens";
const SECRET_KEYS = /^(?:password|auth|token|identitytoken|registrytoken|secret)$/i;
/** Shorter ones occur in ordinary words, and a message full of holes would not hide them either. */
const SECRET_LENGTH = 4;

type Fields = Readonly<Record<string, unknown>>;

/** The fields of a log line about `request`. */
export function describeRequest(request: object): Fields {
  const fields = new Map(Object.entries(request));
  const shown = SHOWN.filter((name) => fields.has(name)).map((name) => [name, fields.get(name)]);
  const given = ATTRIBUTES.flatMap((name) => mapOf(fields.get(name)));
  const attributes = given.flatMap(([key, value]) => {
    const name = SHOWN_ATTRIBUTES.get(key);
    return name === undefined ? [] : [[name, withoutLogin(value)]];
  });
  return Object.fromEntries([...shown, ...attributes]) as Fields;
}

/** `text` without any secret that came with `request`. The last line of defence: no message should hold one. */
export function scrub(text: string, request: object): string {
  const secrets = secretsOf(request).sort((one, other) => other.length - one.length);
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "(hidden)"), text);
}

/** A reference has no login, but a URL pasted in its place may. */
const withoutLogin = (reference: string) => (/@(?!sha\d+:)/.test(reference) ? "(hidden)" : reference);

function secretsOf(request: object): string[] {
  const fields = new Map(Object.entries(request));
  const given = mapOf(fields.get("secrets")).filter(([key]) => key !== "username");
  const tokens = mapOf(fields.get("volume_context")).filter(([key]) => key === TOKENS);
  const found = [...given, ...tokens].flatMap(([, value]) => [value, ...leavesOf(value)]);
  return [...new Set(found)].filter((secret) => secret.length >= SECRET_LENGTH);
}

/** The secret values inside a JSON text such as a docker config, its `auth` in clear too. */
function leavesOf(text: string): string[] {
  const found: string[] = [];
  try {
    JSON.parse(text, (key, value: unknown) => {
      if (typeof value !== "string" || !SECRET_KEYS.test(key)) return value;
      found.push(value);
      const login = Buffer.from(value, "base64").toString();
      if (key === "auth" && login.includes(":")) found.push(login, login.slice(login.indexOf(":") + 1));
      return value;
    });
  } catch {
    // Not JSON: the text itself is the secret.
  }
  return found;
}

const mapOf = (value: unknown) => Object.entries((value ?? {}) as Record<string, string>);
