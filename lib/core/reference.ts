// A Reference: where an artifact is, parsed.
import { type Digest, parseDigest } from "./digest.ts";
import { Failure } from "./failure.ts";

/** `host/repository[:tag][@digest]`; without tag and digest it means the tag `latest`. */
export type Reference = {
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
};

const HOST = /^(?:localhost|[a-z0-9]+(?:[.-]+[a-z0-9]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** The Reference that `text` spells. Throws `invalid`, quoting the text and saying what to write. */
export function parseReference(text: string): Reference {
  const refuse = (why: string) =>
    new Failure(
      "invalid",
      `Cannot read the reference "${text}": ${why}; write host/repository:tag or host/repository@sha256:…`,
    );
  const at = text.indexOf("@");
  const named = at < 0 ? text : text.slice(0, at);
  const slash = named.indexOf("/");
  if (slash < 0) throw refuse("it names no registry host");
  const host = named.slice(0, slash);
  if (!HOST.test(host)) throw refuse(`"${host}" is not a host`);
  if (!/[.:]/.test(host) && host !== "localhost")
    throw refuse(`"${host}" is not a registry host (docker.io/… for Docker Hub)`);
  const colon = named.indexOf(":", slash);
  const repository = named.slice(slash + 1, colon < 0 ? undefined : colon);
  if (repository.length > 255 || !REPOSITORY.test(repository))
    throw refuse(`"${repository}" is not a repository name`);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) throw refuse(`"${tag}" is not a tag`);
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1));
  return {
    host,
    repository,
    ...(tag !== undefined ? { tag } : digest === undefined ? { tag: "latest" } : {}),
    ...(digest !== undefined ? { digest } : {}),
  };
}

/** The text that parses to `reference`. */
export function formatReference(reference: Reference): string {
  const { host, repository, tag, digest } = reference;
  return `${host}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
