// Who may ask the registry double: its passwords, its tokens, and when they stop being good.
import type { Asked } from "./wire.ts";

export type DoubleAuth =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | {
      readonly kind: "bearer";
      /** Who gets a token; without these anybody does. */
      readonly username?: string;
      readonly password?: string;
      readonly refreshToken?: string;
      /** After so many requests a token is not good any more. */
      readonly uses?: number;
      readonly expiresIn?: number;
    };

type Answer = readonly [status: number, headers: Record<string, string>, value?: unknown];

export class Guard {
  realm = "";
  /** How many tokens were given out. */
  granted = 0;
  readonly #auth: DoubleAuth | undefined;
  readonly #tokens = new Map<string, number>();

  constructor(auth: DoubleAuth | undefined) {
    this.#auth = auth;
  }

  /** No token that was given out so far is good any more. */
  expire(): void {
    this.#tokens.clear();
  }

  /** Undefined for those who may pass. */
  refusal(asked: Asked): Answer | undefined {
    const auth = this.#auth;
    if (auth === undefined) return undefined;
    const header = String(asked.headers["authorization"] ?? "");
    if (auth.kind === "basic") {
      if (header === basic(auth.username, auth.password)) return undefined;
      return [401, { "www-authenticate": 'Negotiate, Basic realm="double"' }];
    }
    const token = header.replace(/^Bearer /, "");
    const left = this.#tokens.get(token) ?? 0;
    this.#tokens.set(token, left - 1);
    if (left > 0) return undefined;
    const challenge = `Bearer realm="${this.realm}",service="double",scope="repository:a/b:pull"`;
    return [401, { "www-authenticate": challenge }];
  }

  grant(asked: Asked, url: URL, body: string): Answer {
    const auth = this.#auth;
    if (auth?.kind !== "bearer") return [404, {}];
    const form = new URLSearchParams(body);
    const header = String(asked.headers["authorization"] ?? "");
    const byPassword = auth.username === undefined || header === basic(auth.username, auth.password ?? "");
    const byRefresh =
      form.get("grant_type") === "refresh_token" && form.get("refresh_token") === auth.refreshToken;
    const scope = asked.method === "POST" ? form.get("scope") : url.searchParams.get("scope");
    if (asked.method === "POST" ? !byRefresh : !byPassword) return [asked.method === "POST" ? 400 : 401, {}];
    if (scope === null) return [400, {}];
    this.granted += 1;
    const token = `token-${this.granted}`;
    this.#tokens.set(token, auth.uses ?? Number.POSITIVE_INFINITY);
    const name = asked.method === "POST" ? "access_token" : "token";
    return [200, {}, { [name]: token, expires_in: auth.expiresIn ?? 300 }];
  }
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
