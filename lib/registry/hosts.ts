// Which hosts are asked for what a reference names, in which order: mirrors first, the registry itself last.
import path from "node:path";
import type { Access } from "../core/access.ts";
import { Failure } from "../core/failure.ts";
import { fitsHost, isLoopbackHost } from "../core/host-pattern.ts";
import type { Endpoint, Trust } from "./endpoint.ts";
import { type HostSettings, type HostsFile, parseHostsToml } from "./hosts-toml.ts";

/** What the node's settings say of the registries that `match`: a host, `*.example.com`, or `*`. */
export type RegistrySettings = {
  readonly match: string;
  readonly plainHttp?: boolean | undefined;
  readonly insecure?: boolean | undefined;
  readonly ca?: readonly string[] | undefined;
  readonly mirrors?: readonly HostSettings[] | undefined;
};

export type HostsOptions = {
  /** The first that matches counts. */
  readonly registries: readonly RegistrySettings[];
  /** A directory as containerd has it; it is read again after a few seconds. */
  readonly directory?: string | undefined;
  /** The text of a file, or undefined when there is none. */
  readonly readText: (file: string) => Promise<string | undefined>;
  readonly now: () => number;
};

/** `order` for resolving and pulling; `upstream` is the registry itself, the only one whose word is a proof. */
export type Hosts = { readonly order: readonly Endpoint[]; readonly upstream: Endpoint };

const REREAD_MS = 10_000;
const MOST_HOSTS = 1_000;
const MIRROR_DIAL_MS = 1_000;

export class HostBook {
  readonly #options: HostsOptions;
  readonly #read = new Map<string, { readonly at: number; readonly file: Promise<HostsFile | undefined> }>();

  constructor(options: HostsOptions) {
    this.#options = options;
  }

  /** Throws `invalid` where settings cannot be read, naming the file. */
  async hostsFor(access: Access): Promise<Hosts> {
    const settings = this.#options.registries.find(({ match }) => fitsHost(match, access.host));
    const file = await this.#hostsFile(access.host);
    const upstream = await this.#upstream(access, settings, file?.server);
    const named = [...(file?.hosts ?? []), ...(settings?.mirrors ?? [])];
    const mirrors = await Promise.all(named.map(async (host) => await this.#mirror(access.host, host)));
    const server = file?.server;
    const last =
      server === undefined || isRegistryItself(server.url, access.host)
        ? upstream
        : await this.#mirror(access.host, server);
    return { order: [...mirrors, last], upstream };
  }

  /**
   * The volume's word on plain HTTP and certificates counts, then the settings', then the scheme in hosts.toml; where
   * nothing is said, loopback hosts speak plain HTTP, as for ORAS and containerd, and all others TLS. A `server` in hosts.toml decides how the registry is reached only where it is
   * that registry: another host's word is no proof of a right.
   */
  async #upstream(
    access: Access,
    settings: RegistrySettings | undefined,
    server: HostSettings | undefined,
  ): Promise<Endpoint> {
    const own = server !== undefined && isRegistryItself(server.url, access.host) ? server : undefined;
    const url = own === undefined ? undefined : urlOf(own.url, "hosts.toml");
    const said = access.plainHttp ?? settings?.plainHttp ?? (url && url.protocol === "http:");
    const plain = said ?? isLoopbackHost(access.host);
    const trust = await this.#trust({
      ...own,
      ca: [...(own?.ca ?? []), ...(settings?.ca ?? [])],
      skipVerify: access.insecure ?? (own?.skipVerify === true || settings?.insecure === true),
    });
    return {
      kind: "upstream",
      origin: new URL(`${plain ? "http" : "https"}://${registryHost(access.host)}`).origin,
      prefix: own === undefined || url === undefined ? "/v2" : prefixOf(url, own),
      resolves: true,
      pulls: true,
      headers: own?.headers ?? {},
      trust,
    };
  }

  async #mirror(namespace: string, host: HostSettings): Promise<Endpoint> {
    const url = urlOf(host.url, `the mirrors of "${namespace}"`);
    return {
      kind: "mirror",
      origin: url.origin,
      prefix: prefixOf(url, host),
      ...(url.host === namespace ? {} : { namespace }),
      resolves: host.capabilities?.includes("resolve") ?? true,
      pulls: host.capabilities?.includes("pull") ?? true,
      headers: host.headers ?? {},
      trust: {
        ...(await this.#trust(host)),
        dialTimeoutMs: Math.min(host.dialTimeoutMs ?? MIRROR_DIAL_MS, MIRROR_DIAL_MS),
      },
    };
  }

  async #trust(host: Omit<HostSettings, "url">): Promise<Trust> {
    const ca = await Promise.all((host.ca ?? []).map(async (file) => await this.#pem(file)));
    const client = host.client && {
      certificate: await this.#pem(host.client.certificate),
      key: await this.#pem(host.client.key),
    };
    return {
      ...(ca.length === 0 ? {} : { ca }),
      ...(client === undefined ? {} : { client }),
      ...(host.skipVerify === true ? { skipVerify: true } : {}),
      ...(host.dialTimeoutMs === undefined ? {} : { dialTimeoutMs: host.dialTimeoutMs }),
    };
  }

  async #pem(file: string): Promise<string> {
    if (file.includes("-----BEGIN ")) return file;
    const text = await this.#options.readText(file);
    if (text !== undefined) return text;
    throw new Failure(
      "invalid",
      `Cannot read the certificate "${file}": there is no such file; check the settings of the registry`,
    );
  }

  #hostsFile(host: string): Promise<HostsFile | undefined> {
    const known = this.#read.get(host);
    if (known !== undefined && Math.abs(this.#options.now() - known.at) < REREAD_MS) return known.file;
    // Pods may name any number of hosts.
    if (this.#read.size >= MOST_HOSTS) this.#read.clear();
    const file = this.#readHostsFile(host);
    this.#read.set(host, { at: this.#options.now(), file });
    return file;
  }

  async #readHostsFile(host: string): Promise<HostsFile | undefined> {
    const { directory, readText } = this.#options;
    if (directory === undefined) return undefined;
    const withPort = /^(.+):(\d+)$/.exec(host);
    const names = [...(withPort === null ? [] : [`${withPort[1]}_${withPort[2]}_`]), host, "_default"];
    for (const name of names) {
      const folder = path.join(directory, name);
      const text = await readText(path.join(folder, "hosts.toml"));
      if (text !== undefined) return inFolder(parseHostsToml(text, path.join(folder, "hosts.toml")), folder);
    }
    return undefined;
  }
}

/** Files are named as seen from the folder of their hosts.toml. */
function inFolder({ server, hosts }: HostsFile, folder: string): HostsFile {
  const resolve = (host: HostSettings): HostSettings => ({
    ...host,
    ...(host.ca === undefined ? {} : { ca: host.ca.map((file) => path.resolve(folder, file)) }),
    ...(host.client === undefined
      ? {}
      : {
          client: {
            certificate: path.resolve(folder, host.client.certificate),
            key: path.resolve(folder, host.client.key),
          },
        }),
  });
  return { ...(server === undefined ? {} : { server: resolve(server) }), hosts: hosts.map(resolve) };
}

function prefixOf(url: URL, host: Omit<HostSettings, "url">): string {
  const given = url.pathname.replace(/\/+$/, "");
  return host.overridePath === true || given.endsWith("/v2") ? given : `${given}/v2`;
}

function urlOf(text: string, where: string): URL {
  const host = text.split("/")[0] ?? "";
  const url = URL.parse(text.includes("://") ? text : `${isLoopbackHost(host) ? "http" : "https"}://${text}`);
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:")) return url;
  throw new Failure(
    "invalid",
    `Cannot use "${text}" in ${where}: it is no http or https address; write https://host:port`,
  );
}

function registryHost(host: string): string {
  return host === "docker.io" || host === "index.docker.io" ? "registry-1.docker.io" : host;
}

function isRegistryItself(server: string, host: string): boolean {
  return registryHost(urlOf(server, "hosts.toml").host) === registryHost(host);
}
