// All that one may ask of a tree, so that trees which came by different ways can be held against each other.
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { execa } from "execa";

export type Facts = Readonly<Record<string, string>>;

/** By path, as latin1 text, since names need not be UTF-8; `content` is without times. */
export function factsOf(top: string, rule: "content" | "exact"): Facts {
  const facts: Record<string, string> = {};
  const names = new Map<bigint, string>();
  const walk = (at: Buffer, name: string) => {
    const status = lstatSync(at, { bigint: true });
    const { mode, uid, gid, size, nlink, ino, mtimeNs } = status;
    const shown = [mode.toString(8), `${uid}:${gid}`];
    if (status.isFile()) shown.push(`${size} bytes`, digestOf(readFileSync(at)));
    if (status.isSymbolicLink()) shown.push(`-> ${readlinkSync(at, "latin1")}`);
    if (rule === "exact") shown.push(String(mtimeNs));
    const first = names.get(ino);
    if (status.isFile() && nlink > 1n && first !== undefined) shown.push(`same as ${first}`);
    else names.set(ino, name);
    facts[name] = shown.join(" ");
    if (!status.isDirectory()) return;
    const inside = readdirSync(at, { encoding: "buffer" }).sort((one, other) => Buffer.compare(one, other));
    for (const one of inside)
      walk(Buffer.concat([at, Buffer.from("/"), one]), `${name}/${one.toString("latin1")}`);
  };
  walk(Buffer.from(top), ".");
  return facts;
}

/** Extended attributes, but for the file system's own, as GNU tar writes them down; without saying whose they are. */
export async function attributesOf(top: string): Promise<readonly string[]> {
  const kept = ["--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability"];
  const words = ["-C", top, "--format=pax", "--exclude=./sparse", ...kept, "-c", "."];
  const { stdout } = await execa("tar", words, { encoding: "buffer" });
  const records = Buffer.from(stdout)
    .toString("latin1")
    .matchAll(/SCHILY\.xattr\.[^]*?\n(?=\d+ [\w.%]+=|\0)/g);
  return [...records].map(([record]) => record).sort();
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
