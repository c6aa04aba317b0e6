// Which registry hosts are meant: patterns of them, and this machine itself.

/** A host with or without a port, `*.` before it for any one label, or `*` for every host. */
export const HOST_PATTERN =
  /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?)$/i;

const HUB_NAMES = ["index.docker.io", "registry-1.docker.io"];

/** Whether `pattern` means `host`; Docker Hub is docker.io under all of its names. */
export function fitsHost(pattern: string, host: string): boolean {
  if (pattern === "*") return true;
  const wanted = nameOf(pattern);
  const name = nameOf(host);
  if (!wanted.startsWith("*.")) return wanted === name;
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot) === wanted.slice(1);
}

function nameOf(host: string): string {
  const name = host.toLowerCase();
  return HUB_NAMES.includes(name) ? "docker.io" : name;
}

/** Whether `host`, with or without a port, is this machine itself. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?$/i.test(host);
}
