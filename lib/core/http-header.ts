// Which headers an administrator may have sent with every request.

/** What becomes of the request and its connection is the sender's to say. */
const SENDERS: ReadonlySet<string> = new Set(["expect", "keep-alive", "transfer-encoding", "upgrade"]);

/** Whether HTTP takes such a header, and it is not the sender's own. */
export function isSendable(name: string, text: string): boolean {
  const isName = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/.test(name);
  return isName && /^[\t\x20-\x7e\x80-\xff]*$/.test(text) && !SENDERS.has(name.toLowerCase());
}

/** Whether it can be sent as `Bearer`. */
export const isBearerToken = (text: string) => /^[\x21-\x7e]+$/.test(text);
