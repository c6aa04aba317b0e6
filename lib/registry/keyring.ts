// Whose credentials a repository is asked with: the pod's, else the node's own, else those of the kubelet's plugins.
import type { Access, Credentials } from "../core/access.ts";
import { Failure } from "../core/failure.ts";
import { entriesFor } from "../core/image-key.ts";
import type { Reference } from "../core/reference.ts";
import { type RegistrySettings, registryFor } from "../settings/registries.ts";
import { openCredentialPlugins, type PluginDeps, type PluginSettings } from "./credential-plugins.ts";
import { type KeyedCredentials, parseDockerConfig } from "./docker-config.ts";

export type KeyringDeps = PluginDeps & {
  /** A small file as text, symlinks followed: that is how Kubernetes mounts secrets. */
  readonly readText: (path: string) => Promise<string>;
};

export type KeyringSettings = {
  readonly registries: readonly RegistrySettings[];
  readonly credentialProviders?: PluginSettings;
};

export interface Keyring {
  /**
   * How to ask for the repository, most promising first, never empty: the entries of the first source that has any
   * (the request's secrets, the node's settings, the plugins), the most specific first; else one without credentials.
   * Failures: `invalid` for a secret that cannot be read, `unavailable` naming the plugin or file that failed.
   */
  accessesFor(
    reference: Reference,
    secrets: Readonly<Record<string, string>>,
    secretName?: string,
  ): Promise<readonly Access[]>;
}

type Found = { readonly credentials: Credentials; readonly origin: string };

export function openKeyring(deps: KeyringDeps, settings: KeyringSettings): Keyring {
  const plugins =
    settings.credentialProviders === undefined
      ? undefined
      : openCredentialPlugins(deps, settings.credentialProviders);
  const fromPlugins = async ({ host, repository }: Reference): Promise<readonly Found[]> =>
    ((await plugins?.find(host, repository)) ?? []).flatMap(({ plugin, entries }) =>
      entriesFor(entries, host, repository).map(({ credentials }) => ({
        credentials,
        origin: `credential provider "${plugin}"`,
      })),
    );
  return {
    async accessesFor(reference, secrets, secretName) {
      const { host, repository } = reference;
      const registry = registryFor(settings.registries, host);
      const transport = transportOf(registry);
      const sources = [
        () => fromSecrets(reference, secrets, secretName),
        () => fromNode(deps, registry),
        () => fromPlugins(reference),
      ];
      for (const source of sources) {
        const found = await source();
        if (found.length > 0) return found.map((entry) => ({ host, repository, ...transport, ...entry }));
      }
      return [{ host, repository, ...transport }];
    },
  };
}

/** Only what the settings say: where they are silent, hosts.toml and the kind of host decide. */
function transportOf(registry: RegistrySettings | undefined): Pick<Access, "plainHttp" | "insecure"> {
  return {
    ...(registry?.plainHttp === undefined ? {} : { plainHttp: registry.plainHttp }),
    ...(registry?.insecure === true ? { insecure: true } : {}),
  };
}

const DOCKER_KEYS = [".dockerconfigjson", ".dockercfg"] as const;

function fromSecrets(
  { host, repository }: Reference,
  secrets: Readonly<Record<string, string>>,
  secretName: string | undefined,
): readonly Found[] {
  const origin = secretName === undefined ? "pull secret" : `pull secret "${secretName}"`;
  const entries: KeyedCredentials[] = DOCKER_KEYS.flatMap((key) => {
    const text = secrets[key];
    return text === undefined ? [] : parseDockerConfig(text, key, origin);
  });
  const { username, password } = secrets;
  if ((username === undefined) !== (password === undefined)) {
    throw new Failure(
      "invalid",
      `Cannot use the ${origin}: it has a username or a password alone; give both`,
    );
  }
  const plain: readonly Found[] =
    username === undefined || password === undefined
      ? []
      : [{ credentials: { kind: "basic", username, password }, origin }];
  const keys = Object.keys(secrets).filter((key) => !key.startsWith("csi.storage.k8s.io/"));
  if (keys.length > 0 && plain.length === 0 && !DOCKER_KEYS.some((key) => keys.includes(key))) {
    throw new Failure(
      "invalid",
      `Cannot use the ${origin}: it has none of the keys ${DOCKER_KEYS.join(", ")}, or username and password; make it with kubectl create secret docker-registry`,
    );
  }
  return [
    ...entriesFor(entries, host, repository).map(({ credentials }) => ({ credentials, origin })),
    ...plain,
  ];
}

async function fromNode(
  deps: KeyringDeps,
  registry: RegistrySettings | undefined,
): Promise<readonly Found[]> {
  if (registry?.credentials === undefined) return [];
  const { username, password, passwordFile } = registry.credentials;
  const origin = `node's credentials for "${registry.match}"`;
  const secret = password ?? (await readPassword(deps, passwordFile ?? ""));
  return [{ credentials: { kind: "basic", username, password: secret }, origin }];
}

/** Read anew each time, so that a password that was changed is the one that is used. */
async function readPassword(deps: KeyringDeps, file: string): Promise<string> {
  try {
    return (await deps.readText(file)).replace(/\r?\n$/, "");
  } catch (cause) {
    throw new Failure("unavailable", `Cannot read the password file "${file}" of the node's settings`, {
      cause,
    });
  }
}
