// On whose behalf, and how, a repository is asked.

/** What proves who asks. Never logged, never in a message. */
export type Credentials =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, as docker's `identitytoken` has it. */
  | { readonly kind: "identity"; readonly token: string }
  /** A bearer token for the registry itself, as docker's `registrytoken` has it. */
  | { readonly kind: "registry"; readonly token: string };

/** One repository, asked with certain credentials (none: anonymously) over a certain transport. */
export type Access = {
  readonly host: string;
  readonly repository: string;
  readonly credentials?: Credentials;
  /** Where the credentials came from, in words to stand after "the": `pull secret "acme-pull"`. */
  readonly origin?: string;
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
};
