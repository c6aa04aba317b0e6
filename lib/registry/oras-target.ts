// Where an ORAS command reads or writes: a repository of a registry, or an OCI layout on this node's disk.
import type { Access, Credentials } from "../core/access.ts";

/** An OCI layout: a directory, or for reading a tar file, at an absolute path. */
export type OciLayout = { readonly layout: string };

export type Target = Access | OciLayout;

const isLayout = (target: Target): target is OciLayout => "layout" in target;

/** The argument that names the target, or with `name` what is called so there: a digest, a tag, or tags with commas. */
export function formatTarget(target: Target, name?: string): string {
  // Without the colon ORAS would take what follows one in the layout's path for the tag.
  const suffix =
    name === undefined ? (isLayout(target) ? ":" : "") : `${name.includes(":") ? "@" : ":"}${name}`;
  return `${isLayout(target) ? target.layout : `${target.host}/${target.repository}`}${suffix}`;
}

/** For messages. */
export function showTarget(target: Target, name?: string): string {
  const text = formatTarget(target, name);
  return isLayout(target) ? `the OCI layout "${text.replace(/:$/, "")}"` : text;
}

/** The flags for a target, with `from-` or `to-` before each where a command has two. */
export function targetFlags(
  target: Target,
  options: { readonly prefix?: "from-" | "to-"; readonly config: string; readonly ca?: string },
): string[] {
  const flag = (name: string) => `--${options.prefix ?? ""}${name}`;
  if (isLayout(target)) return [flag("oci-layout")];
  return [
    `${flag("plain-http")}=${target.plainHttp === true}`,
    ...(target.insecure === true ? [flag("insecure")] : []),
    ...(options.ca === undefined ? [] : [flag("ca-file"), options.ca]),
    flag("registry-config"),
    options.config,
  ];
}

/**
 * A docker config that knows this target's credentials and nothing else. Under the host's name, so that ORAS
 * shows them to no other host, whatever a registry redirects it to.
 */
export function configOf(target: Target): Uint8Array {
  if (isLayout(target) || target.credentials === undefined) return Buffer.from("{}");
  const hub = ["docker.io", "registry-1.docker.io"].includes(target.host);
  const host = hub ? "https://index.docker.io/v1/" : target.host;
  return Buffer.from(JSON.stringify({ auths: { [host]: authOf(target.credentials) } }));
}

/** What must be in no message: the secret as it is, and as it travels. */
export function secretsOf(target: Target): string[] {
  if (isLayout(target) || target.credentials === undefined) return [];
  const { credentials } = target;
  return credentials.kind === "basic"
    ? [credentials.password, encodeBasic(credentials)]
    : [credentials.token];
}

export function originOf(target: Target): string | undefined {
  if (isLayout(target) || target.credentials === undefined) return undefined;
  return target.origin ?? "credentials given";
}

function authOf(credentials: Credentials): object {
  if (credentials.kind === "basic") return { auth: encodeBasic(credentials) };
  return credentials.kind === "identity"
    ? { identitytoken: credentials.token }
    : { registrytoken: credentials.token };
}

function encodeBasic({
  username,
  password,
}: {
  readonly username: string;
  readonly password: string;
}): string {
  return Buffer.from(`${username}:${password}`).toString("base64");
}
