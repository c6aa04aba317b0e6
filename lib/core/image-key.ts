// The keys under which credentials are kept, and which images each is for: the kubelet's rules.

/** A key such as `quay.io/acme`, `*.example.com:5000` or `https://index.docker.io/v1/`, taken apart. */
type ImageKey = { readonly labels: readonly string[]; readonly port: string; readonly path: string };

const HUB = "docker.io";
const HUB_NAMES = ["index.docker.io", "registry-1.docker.io"];

/**
 * Whether the key is for that repository: as many labels as the host has, each fitting (`*` and `?` within a label),
 * the same port or none in both, and a path that the repository begins with.
 */
export function fitsImage(key: string, host: string, repository: string): boolean {
  const wanted = parseKey(key);
  const image = parseKey(`${host}/${repository}`);
  return (
    wanted.port === image.port &&
    wanted.labels.length === image.labels.length &&
    wanted.labels.every((label, at) => fitsLabel(label, image.labels[at] ?? "")) &&
    image.path.startsWith(wanted.path)
  );
}

/** Those that fit, the most specific first: the kubelet's order, longer paths before shorter, names before wildcards. */
export function entriesFor<Entry extends { readonly key: string }>(
  entries: readonly Entry[],
  host: string,
  repository: string,
): readonly Entry[] {
  return entries
    .filter(({ key }) => fitsImage(key, host, repository))
    .map((entry) => ({ entry, order: formatKey(parseKey(entry.key)) }))
    .toSorted((one, other) => (one.order < other.order ? 1 : one.order > other.order ? -1 : 0))
    .map(({ entry }) => entry);
}

function parseKey(key: string): ImageKey {
  const bare = key.replace(/^https?:\/\//i, "");
  const slash = bare.indexOf("/");
  const authority = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  // What docker writes for the API's version is no part of any repository's name.
  const path = (slash < 0 ? "" : bare.slice(slash)).replace(/^\/v[12](?=\/|$)/, "");
  const [, name = "", port = ""] = /^(.*?)(?::([0-9]+))?$/.exec(authority) ?? [];
  return {
    labels: (HUB_NAMES.includes(name) ? HUB : name).split("."),
    port,
    path: path === "/" ? "" : path,
  };
}

function formatKey({ labels, port, path }: ImageKey): string {
  return `${labels.join(".")}${port === "" ? "" : `:${port}`}${path}`;
}

/** Goes back to the last `*` only: a regular expression made of a hostile key could take for ever. */
function fitsLabel(pattern: string, label: string): boolean {
  let [at, star, taken] = [0, -1, 0];
  for (let seen = 0; seen < label.length; ) {
    if (pattern[at] === "*") {
      star = at;
      taken = seen;
      at += 1;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === label[seen])) {
      at += 1;
      seen += 1;
    } else if (star >= 0) {
      at = star + 1;
      taken += 1;
      seen = taken;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
