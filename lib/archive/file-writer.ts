// Writes the files of a layer, one at a time, with as few calls for each as will do.
import fs from "node:fs";
import { type Directory, type Name, setFileTime } from "../host/directory.ts";
import { type Attributes, writeXattrs } from "./attributes.ts";

export type FileFacts = {
  readonly size: number;
  readonly kept: Attributes;
  /** Whether the directory would give it a group. */
  readonly handsDownGroup: boolean;
};

type Open = FileFacts & {
  readonly fd: number;
  readonly directory: Directory;
  readonly name: Name;
  end: number;
};

/** Between `begin` and `finish` one file is open; without, what is written goes nowhere. */
export class FileWriter implements Disposable {
  readonly #umask = process.umask();
  #open: Open | undefined;

  /** EEXIST when there is something by that name. */
  begin(directory: Directory, name: Name, facts: FileFacts): void {
    const fd = directory.createFile(name, facts.kept.mode & 0o777);
    this.#open = { ...facts, fd, directory, name, end: 0 };
  }

  write(bytes: Buffer, position: number): void {
    if (this.#open === undefined) return;
    for (let done = 0; done < bytes.length; )
      done += fs.writeSync(this.#open.fd, bytes, done, bytes.length - done, position + done);
    this.#open.end = position + bytes.length;
  }

  finish(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { fd, kept } = open;
    // A sparse file may end in a hole.
    if (open.end < open.size) fs.ftruncateSync(fd, open.size);
    if (kept.uid !== 0 || kept.gid !== 0 || open.handsDownGroup) fs.fchownSync(fd, kept.uid, kept.gid);
    if ((kept.mode & (this.#umask | 0o7000)) !== 0) fs.fchmodSync(fd, kept.mode);
    if (kept.xattrs.length > 0) writeXattrs(open.directory, open.name, kept.xattrs);
    setFileTime(fd, kept.mtime);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) fs.closeSync(open.fd);
  }
}
