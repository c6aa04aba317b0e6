// Words that go along with an OK: gRPC has none for it, so they are metadata behind the reply, for those who look.
import { Metadata } from "@grpc/grpc-js";

const NAME = "larder-note";
/** Headers have 16 KiB in all, and an encoded character may take nine bytes for each of its units. */
const MOST = 1024;

/** Percent-encoded where they are not plain ASCII, as gRPC does with its own messages. */
export function toTrailer(words: readonly string[]): Metadata {
  const trailer = new Metadata();
  for (const said of words) {
    const text = said.slice(0, MOST).toWellFormed();
    trailer.add(
      NAME,
      text.replaceAll(/[^ -~]|%/gu, (character) => encodeURIComponent(character)),
    );
  }
  return trailer;
}
