// Reads a hosts.toml as containerd has it: which hosts stand for a registry, in which order.
import { parse, type TomlTable, type TomlValue } from "smol-toml";
import { Failure } from "../core/failure.ts";
import { isSendable } from "../core/http-header.ts";
import { parseDuration } from "../core/quantity.ts";

/** One host as an administrator names it. Files are named, or their PEM text is given. */
export type HostSettings = {
  readonly url: string;
  readonly capabilities?: readonly string[];
  readonly ca?: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
  readonly skipVerify?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly overridePath?: boolean;
  readonly dialTimeoutMs?: number;
};

export type HostsFile = { readonly server?: HostSettings; readonly hosts: readonly HostSettings[] };

/** Fields that are not known are passed over, as containerd does. Throws `invalid`, naming the file. */
export function parseHostsToml(text: string, file: string): HostsFile {
  const refuse = (why: string) =>
    new Failure("invalid", `Cannot read ${file}: ${why}; write it as containerd's hosts.toml`);
  let table: TomlTable;
  try {
    table = parse(text);
  } catch (error) {
    throw refuse(error instanceof Error ? (error.message.split("\n")[0] ?? "") : "not TOML");
  }
  const host = table["host"] ?? {};
  if (!isTable(host)) throw refuse('"host" is not a table');
  const server = table["server"];
  if (server !== undefined && typeof server !== "string") throw refuse('"server" is not a text');
  return {
    ...(server === undefined ? {} : { server: hostOf(server, table, refuse) }),
    hosts: Object.entries(host).map(([url, fields]) => {
      if (!isTable(fields)) throw refuse(`host "${url}" is not a table`);
      return hostOf(url, fields, refuse);
    }),
  };
}

function hostOf(url: string, fields: TomlTable, refuse: (why: string) => Failure): HostSettings {
  const field = <T>(name: string, read: (value: TomlValue) => T | undefined): T | undefined => {
    const value = fields[name];
    if (value === undefined) return undefined;
    const result = read(value);
    if (result === undefined) throw refuse(`"${name}" of "${url}" cannot be read`);
    return result;
  };
  const optional = {
    capabilities: field("capabilities", textsOf),
    ca: field("ca", textsOf),
    client: field("client", clientOf),
    skipVerify: field("skip_verify", booleanOf),
    headers: field("header", headersOf),
    overridePath: field("override_path", booleanOf),
    dialTimeoutMs: field("dial_timeout", durationOf),
  };
  const stated = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return { url, ...stated };
}

const isTable = (value: TomlValue): value is TomlTable =>
  typeof value === "object" && !Array.isArray(value) && !(value instanceof Date);

const booleanOf = (value: TomlValue) => (typeof value === "boolean" ? value : undefined);

function textsOf(value: TomlValue): readonly string[] | undefined {
  const texts = Array.isArray(value) ? value : [value];
  return texts.every((text) => typeof text === "string") ? texts : undefined;
}

/** A file with both, or one pair of files; containerd's list of several pairs begins with the pair that is used. */
function clientOf(value: TomlValue): HostSettings["client"] {
  const first = Array.isArray(value) && Array.isArray(value[0]) ? value[0] : value;
  const [certificate, key = certificate] = textsOf(first) ?? [];
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

function headersOf(value: TomlValue): Readonly<Record<string, string>> | undefined {
  if (!isTable(value)) return undefined;
  const headers = Object.entries(value).map(
    ([name, text]) => [name.toLowerCase(), textsOf(text)?.join(", ")] as const,
  );
  return headers.every(([name, text]) => text !== undefined && isSendable(name, text))
    ? (Object.fromEntries(headers) as Record<string, string>)
    : undefined;
}

const durationOf = (value: TomlValue) => (typeof value === "string" ? parseDuration(value) : undefined);
