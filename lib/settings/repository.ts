// Where caches live: a class's template, and the repository that it means for one claim.
import { Failure } from "../core/failure.ts";
import { parseReference } from "../core/reference.ts";

export type RepositoryTemplate = {
  readonly host: string;
  readonly needsNamespace: boolean;
  /** Throws `invalid` where no registry has repositories of such a name. */
  readonly expand: (claim: { readonly namespace: string; readonly cache: string }) => {
    readonly host: string;
    readonly repository: string;
  };
};

const NAMESPACE = "${namespace}";
const CACHE = "${cache}";

/**
 * Variables are whole components of the path: none can be made to reach into another's repositories. `${cache}` is
 * needed, or two caches would be one. Throws `invalid`.
 */
export function parseRepositoryTemplate(text: string): RepositoryTemplate {
  const refuse = (why: string) =>
    new Failure(
      "invalid",
      `Cannot use the repository "${text.slice(0, 255)}": ${why}; write one such as registry.example/caches/${NAMESPACE}/${CACHE}`,
    );
  const [host = "", ...path] = text.split("/");
  const odd = path.find((part) => part.includes("$") && part !== NAMESPACE && part !== CACHE);
  if (host.includes("$")) throw refuse("its host cannot vary");
  if (odd !== undefined)
    throw refuse(
      `"${odd}" is neither ${NAMESPACE} nor ${CACHE}, which stand for whole components of the path`,
    );
  if (!path.includes(CACHE)) throw refuse(`without ${CACHE} all caches would be one`);
  const expand = (namespace: string, cache: string) =>
    path.map((part) => (part === NAMESPACE ? namespace : part === CACHE ? cache : part)).join("/");
  if (/[:@]/.test(path.join("/"))) throw refuse("it names a tag or digest, which are the keys' to name");
  parseReference(`${host}/${expand("x", "x")}`);
  return {
    host,
    needsNamespace: path.includes(NAMESPACE),
    expand: ({ namespace, cache }) => {
      requireOneComponent(namespace);
      const { repository } = parseReference(`${host}/${expand(namespace, cache)}`);
      return { host, repository };
    },
  };
}

/** As Kubernetes names them; of more components than one it would reach into another's repositories. */
function requireOneComponent(namespace: string): void {
  if (namespace === "" || /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return;
  throw new Failure(
    "invalid",
    `Cannot have a cache in the namespace "${namespace.slice(0, 128)}": no namespace of Kubernetes is named so; name the claim's own`,
  );
}

/** A cache's name: one component of a repository's. Throws `invalid`. */
export function parseCacheName(text: string): string {
  if (text.length <= 128 && /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/.test(text)) return text;
  throw new Failure(
    "invalid",
    `Cannot use the cache "${text.slice(0, 128)}": write small letters and digits, with single ".", "_" or "-" between`,
  );
}
