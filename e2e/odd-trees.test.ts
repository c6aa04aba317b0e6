// What a pod may leave in its claim to make trouble: it goes to the registry and back, or is left out, and is removed here.
import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { metric } from "./metrics.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft } from "./remains.ts";

const GIB = 2 ** 30;

let open: AsyncDisposableStack;
let registry: RealRegistry;
let plugin: Plugin;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
  plugin = open.use(await openClaimPlugin());
});
afterEach(async () => {
  await clear(plugin);
  await open.disposeAsync();
});

/** Node's own removal takes no paths beyond what a path may be. */
async function clear(node: Plugin): Promise<void> {
  await node.stop();
  execFileSync("rm", ["-rf", node.root]);
}

function claimOf(node: Plugin, name: string): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "odd", key: "main", when: "always" };
  return new ClaimCalls({ plugin: node }, { name, parameters, bytes: GIB });
}

/** Changes the claim, writes it back, and has a look at it on a node that has nothing of it. */
async function roundTrip(change: (at: string) => void, look: (at: string) => void): Promise<void> {
  const claim = claimOf(plugin, "here");
  await claim.runPod(async (at) => change(at));
  await claim.deleteAtLast();
  expect(await kept(plugin, "claims")).toEqual([]);
  await nothingLeft(plugin);
  const other = open.use(await openClaimPlugin());
  const there = claimOf(other, "there");
  await there.runPod(async (at) => look(at));
  await there.deleteAtLast();
  await nothingLeft(other);
  await clear(other);
}

function bash(at: string, script: string): void {
  execFileSync("bash", ["-euc", script], { cwd: at, stdio: ["ignore", "ignore", "inherit"] });
}

describe("a claim in which a pod left", { timeout: 900_000 }, () => {
  it("symlinks to the host's files, in the place of directories too: they stay symlinks, and nothing is read or written through them", async () => {
    const base = claimOf(plugin, "base");
    await base.runPod(async (at) => bash(at, "mkdir -p etc/deep; echo own > etc/deep/passwd"));
    await base.deleteAtLast();
    await roundTrip(
      (at) => bash(at, "rm -r etc; ln -s /etc etc; ln -s ../../../../../../etc/passwd up; ln -s . round"),
      (at) => {
        expect(readlinkSync(path.join(at, "etc"))).toBe("/etc");
        expect(readlinkSync(path.join(at, "up"))).toBe("../../../../../../etc/passwd");
        expect(readlinkSync(path.join(at, "round"))).toBe(".");
      },
    );
    expect(lstatSync("/etc").isDirectory()).toBe(true);
    expect(readFileSync("/etc/passwd", "utf8")).toContain("root:");
  });

  it("100,000 files", async () => {
    const places = Array.from({ length: 100 }, (_, at) => `directory-${at}`);
    await roundTrip(
      (at) => {
        for (const place of places) {
          mkdirSync(path.join(at, place));
          for (let one = 0; one < 1000; one++) writeFileSync(path.join(at, place, `file-${one}`), `${one}`);
        }
      },
      (at) => {
        expect(readdirSync(at).sort()).toEqual(places.toSorted());
        for (const place of places) expect(readdirSync(path.join(at, place))).toHaveLength(1000);
        expect(readFileSync(path.join(at, "directory-99/file-999"), "utf8")).toBe("999");
      },
    );
  });

  it("directories nested beyond what a path may be", async () => {
    const name = "n".repeat(200);
    const [depth, turn] = [40, `for i in $(seq 40); do mkdir ${name}; cd ${name}; done; echo deep > file`];
    await roundTrip(
      (at) => bash(at, turn),
      (at) => {
        const read = `for i in $(seq ${depth}); do cd ${name}; done; cat file`;
        expect(execFileSync("bash", ["-euc", read], { cwd: at, encoding: "utf8" })).toBe("deep\n");
      },
    );
  });

  it("files that are immutable or append-only: their flags stay behind, and they are removed here all the same", async () => {
    await roundTrip(
      (at) => bash(at, "mkdir d; echo i > d/i; echo a > d/a; chattr +a d/a; chattr +i d/i; chattr +i d"),
      (at) => {
        expect(readFileSync(path.join(at, "d/i"), "utf8")).toBe("i\n");
        writeFileSync(path.join(at, "d/a"), "changed");
      },
    );
  });

  it("a sparse file of 100 GB: a few bytes travel, and it is sparse again", async () => {
    await roundTrip(
      (at) =>
        bash(at, "truncate -s 100G disk; printf mid | dd of=disk bs=1 seek=50G conv=notrunc status=none"),
      (at) => {
        const { size, blocks } = statSync(path.join(at, "disk"));
        expect(size).toBe(100 * GIB);
        expect(blocks * 512).toBeLessThan(GIB / 100);
        const mid = "dd if=disk bs=1 skip=50G count=3 status=none";
        expect(execFileSync("bash", ["-c", mid], { cwd: at, encoding: "utf8" })).toBe("mid");
      },
    );
    expect(await metric(plugin, "larder_written_back_bytes_total")).toBeLessThan(100_000);
  });
});
