// YAML that people write, with its problems told by line and without a word of what stands there.
import { LineCounter, parseDocument } from "yaml";

/** The value that `text` spells, `{}` for an empty one; what is wrong with it goes to `problems`. */
export function parseYaml(text: string, problems: string[]): unknown {
  const lines = new LineCounter();
  // Pretty errors quote the line, which may be the one with the password.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  for (const error of document.errors) {
    problems.push(`line ${lines.linePos(error.pos[0]).line}: ${error.code}`);
  }
  if (document.errors.length > 0) return {};
  try {
    return document.toJS() ?? {};
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    // Not its message: what looks like an alias may be a password that begins with a star.
    problems.push("an alias (*name) in it cannot be followed; quote values that begin with a star");
    return {};
  }
}
