// A disk that is full, or has no inodes left, in the middle of an ingest. Needs a mount namespace of its own.
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import { addFiles, addImage, addRepository, type Repository } from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";

const MiB = 2 ** 20;
let kit: Kit;
let repository: Repository;

beforeEach(async () => {
  kit = await Kit.open();
  repository = addRepository(kit.registry.addHost("r.example"), "a");
  // The budget sees far more room than there is: others may fill the disk between its look and the write.
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,nr_inodes=64", "tmpfs", kit.root]);
});

afterEach(async () => {
  await kit.close();
  execFileSync("umount", [kit.root]);
  await kit[Symbol.asyncDispose]();
});

describe("lease() on a disk that fills up in the middle", () => {
  it.each([
    ["bytes of a file", () => addFiles(repository, { big: "x".repeat(12 * MiB), small: "s" })],
    [
      "bytes of an unpacked layer",
      () => addImage(repository, [twinLayer({ files: { a: "x".repeat(5 * MiB), b: "y".repeat(2 * MiB) } })]),
    ],
    [
      "inodes",
      () => addFiles(repository, Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`f${i}`, `${i}`]))),
    ],
  ])("ends full for want of %s, leaves nothing, and what fits then works", async (_what, push) => {
    const trees = await kit.start();
    const refused = trees.lease(requestFor(`r.example/a@${push()}`), never);
    await expect(refused).rejects.toSatisfy((error) => isFailure(error, "full"));
    await until(() => trees.figures().reservedBytes === 0);
    for (const directory of ["ingest", "layers", "trees"]) expect(await kit.list(directory)).toEqual([]);
    using leased = await trees.lease(
      requestFor(`r.example/a@${addFiles(repository, { fits: "fits" })}`),
      never,
    );
    expect(await contentOf(leased)).toEqual({ fits: "fits" });
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
