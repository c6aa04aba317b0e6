// One host that may be asked for what a reference names.
import type { Source } from "./reader.ts";

/** How a host is known to be the right one, and how long a connection to it may take. */
export type Trust = {
  /** Authorities in PEM, beside those every Node knows. */
  readonly ca?: readonly string[];
  readonly skipVerify?: boolean;
  /** What this node shows of itself. */
  readonly client?: { readonly certificate: string; readonly key: string };
  readonly dialTimeoutMs?: number;
};

export type Endpoint = {
  readonly kind: Source["kind"];
  /** `https://host:port`, as URL.origin has it. */
  readonly origin: string;
  /** What stands before `/REPOSITORY/manifests/…`: `/v2`, or what `override_path` says. */
  readonly prefix: string;
  /** The registry that a mirror is asked on behalf of, told to it as `?ns=`. */
  readonly namespace?: string;
  /** Whether it may turn tags into digests. */
  readonly resolves: boolean;
  readonly pulls: boolean;
  /** Sent with every request to this origin, and to no other. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trust: Trust;
};

export function sourceOf(endpoint: Endpoint): Source {
  return { kind: endpoint.kind, host: new URL(endpoint.origin).host };
}

/** The host in words, for messages. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === "upstream" ? "the registry" : `the mirror "${new URL(endpoint.origin).host}"`;
}
