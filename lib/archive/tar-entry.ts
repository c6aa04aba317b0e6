// What a tar archive says of one entry, whichever dialect said it.
import type { EntryType, Time } from "../host/entry-status.ts";
import type { PaxRecords } from "./pax.ts";
import { parsePaxTime, parseWhole } from "./pax.ts";
import { parseXattr } from "./pax-xattrs.ts";
import type { Header } from "./tar-header.ts";

/** Text is latin1 that stands for bytes. */
export type TarEntry = {
  readonly name: string;
  readonly type: Exclude<EntryType, "socket"> | "link";
  /** Of a symlink, or the entry that a hardlink is another name of. */
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the file once it is there, holes included. */
  readonly size: number;
  readonly mtime: Time;
  readonly device: { readonly major: number; readonly minor: number };
  readonly xattrs: ReadonlyArray<readonly [name: string, value: Buffer]>;
};

/** What was said ahead of an entry, by extended headers of both kinds. */
export type Ahead = { pax?: PaxRecords; longName?: string; longTarget?: string };

/** Header and what was said ahead of it, which wins. Failure `invalid` for values that are none. */
export function toEntry(header: Header, ahead: Ahead, type: TarEntry["type"]): TarEntry {
  const values = ahead.pax?.values ?? new Map<string, string>();
  const said = (key: string) => values.get(key) || undefined;
  const whole = (key: string, otherwise: number) => {
    const text = said(key);
    return text === undefined ? otherwise : parseWhole(text);
  };
  const mtime = said("mtime");
  return {
    name: said("GNU.sparse.name") ?? said("path") ?? ahead.longName ?? header.name,
    type,
    target: said("linkpath") ?? ahead.longTarget ?? header.target,
    mode: header.mode & 0o7777,
    uid: whole("uid", header.uid),
    gid: whole("gid", header.gid),
    size: whole("size", header.size),
    mtime: mtime === undefined ? { seconds: header.mtime, nanoseconds: 0 } : parsePaxTime(mtime),
    device: { major: header.major, minor: header.minor },
    xattrs: [...values].flatMap(([key, value]) => {
      const xattr = parseXattr(key, value);
      return xattr === undefined ? [] : [xattr];
    }),
  };
}
