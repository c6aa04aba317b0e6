// Credentials as docker keeps them, and as pull secrets hold them.
import type { Credentials } from "../core/access.ts";
import { Failure } from "../core/failure.ts";
import { isBearerToken } from "../core/http-header.ts";

/** Credentials, and the key that says which images they are for. */
export type KeyedCredentials = { readonly key: string; readonly credentials: Credentials };

type Json = Readonly<Record<string, unknown>>;

/**
 * The entries of a `.dockerconfigjson`, or of the older `.dockercfg`, which has no `auths` around them. Entries
 * without a secret are passed over. Throws `invalid`, naming `key` and `origin` and never quoting what stands there.
 */
export function parseDockerConfig(
  text: string,
  key: ".dockerconfigjson" | ".dockercfg",
  origin: string,
): readonly KeyedCredentials[] {
  const where = `${key} of the ${origin}`;
  const config = parseObject(text, where);
  const auths = key === ".dockercfg" ? config : (config["auths"] ?? {});
  if (!isObject(auths)) throw refuse(where, 'its "auths" is no object');
  return Object.entries(auths).flatMap(([key, entry]) => {
    if (!isObject(entry)) throw refuse(where, `the entry for "${key}" is no object`);
    const credentials = credentialsOf(entry, (name, why) => refuse(where, `"${name}" of "${key}" ${why}`));
    return credentials === undefined ? [] : [{ key, credentials }];
  });
}

type Malformed = (name: string, why: string) => Failure;

function credentialsOf(entry: Json, malformed: Malformed): Credentials | undefined {
  const text = (name: string) => {
    const value = entry[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const identity = text("identitytoken");
  if (identity !== undefined) return { kind: "identity", token: identity };
  const registry = text("registrytoken");
  if (registry !== undefined && !isBearerToken(registry))
    throw malformed("registrytoken", "has characters that no header takes");
  if (registry !== undefined) return { kind: "registry", token: registry };
  const auth = text("auth");
  if (auth !== undefined) return parseAuth(auth, malformed);
  const username = text("username");
  return username === undefined ? undefined : { kind: "basic", username, password: text("password") ?? "" };
}

function parseAuth(auth: string, malformed: Malformed): Credentials {
  const none = () => malformed("auth", "is not base64 of user:password");
  if (!/^[A-Za-z0-9+/_-]+={0,2}\s*$/.test(auth)) throw none();
  const decoded = Buffer.from(auth, "base64").toString();
  const colon = decoded.indexOf(":");
  if (colon < 0) throw none();
  // Docker pads short passwords with NUL.
  return {
    kind: "basic",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
  };
}

function parseObject(text: string, where: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Its message quotes the text, which is a secret.
  }
  throw refuse(where, "it is no JSON object");
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const refuse = (where: string, why: string) =>
  new Failure("invalid", `Cannot read ${where}: ${why}; make it with kubectl create secret docker-registry`);
