// The machine's mounts as the kernel tells them.
import { readFile } from "node:fs/promises";

export type Mount = {
  readonly target: string;
  readonly type: string;
  /** Those of the mount itself, such as `ro` and `nosuid`. */
  readonly flags: readonly string[];
  readonly options: string;
};

const decode = (text: string) =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

async function mounts(): Promise<readonly Mount[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const [front = "", back = ""] = line.split(" - ");
    const fields = front.split(" ");
    const [type = "", , options = ""] = back.split(" ");
    return { target: decode(fields[4] ?? ""), type, flags: (fields[5] ?? "").split(","), options };
  });
}

/** All that are exactly there, the topmost last. */
export async function mountsAt(target: string): Promise<readonly Mount[]> {
  return (await mounts()).filter((mount) => mount.target === target);
}

export async function mountsUnder(folder: string): Promise<readonly Mount[]> {
  return (await mounts()).filter(({ target }) => target.startsWith(`${folder}/`));
}
