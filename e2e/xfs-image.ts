// File systems of a test's own on the disk of tools/vm's machine, since others count what that disk holds.
import { mkdir, mkdtemp, statfs } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";

/** Returns where a new one is mounted. */
export async function mountImage(options: string): Promise<string> {
  const folder = await mkdtemp(path.join(process.env["LARDER_VM_XFS"] ?? "", "disk-"));
  const [image, at] = [path.join(folder, "image"), path.join(folder, "at")];
  await mkdir(at);
  await execa("truncate", ["-s", "2G", image]);
  await execa("mkfs.xfs", ["-q", image]);
  await execa("mount", ["-o", options, image, at]);
  return at;
}

/** As `df` tells it: all there is, and what is left. */
export async function df(at: string) {
  const { bsize, blocks, bavail, files, ffree } = await statfs(at);
  return { bytes: blocks * bsize, free: bavail * bsize, files, filesFree: ffree };
}
