// What a server asks for when it answers 401: the WWW-Authenticate header, parsed.

/** One challenge: its scheme in lower case, and its parameters by lower-case name. */
export type Challenge = { readonly scheme: string; readonly parameters: ReadonlyMap<string, string> };

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

/** Every challenge in one header value, in order; what cannot be read is passed over, never guessed at. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (let at = 0; at < header.length; ) {
    const parameter = matchAt(PARAMETER, header, at);
    if (parameter !== undefined && challenges.length > 0) {
      const [text, name = "", quoted, bare = ""] = parameter;
      const parameters = challenges.at(-1)?.parameters;
      const key = name.toLowerCase();
      if (parameters?.has(key) === false) parameters.set(key, quoted?.replace(/\\(.)/g, "$1") ?? bare);
      at += text.length;
      continue;
    }
    const token = matchAt(TOKEN, header, at)?.[0];
    if (token !== undefined) challenges.push({ scheme: token.toLowerCase(), parameters: new Map() });
    at += token?.length ?? 1;
  }
  return challenges;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
