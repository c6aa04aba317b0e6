import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Directory } from "../host/directory.ts";
import { readXattr, writeXattr } from "../host/xattrs.ts";
import { cloneForGroup } from "./clone-tree.ts";
import { giveTreeToGroup, isGroups, takeTreeFromGroup } from "./group-tree.ts";
import type { PackedDelta } from "./pack-delta.ts";
import { startUpper } from "./start-upper.ts";
import { Claim, listed, shownBy } from "./testing/claim.ts";
import { Scratch } from "./testing/scratch.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");

/** Layers, topmost first, with what a group must not confuse: owners, set-user-id, links, whiteouts, opaque ones. */
async function base(): Promise<string[]> {
  const low = new Claim(scratch, []).run(`
    umask 022; mkdir -p d/e private gone o/deep; echo one > d/one; echo two > d/two; ln d/two d/e/link
    echo s > private/s; chmod 700 private; chmod 600 private/s; echo p > d/program; chmod 4755 d/program
    chown 12:34 d/one d/e; chmod 2750 d/e; ln -s ../d/one d/symlink; mkfifo d/pipe; echo x > gone/x
    echo a > o/a; echo b > o/deep/b; echo c > d/caps
  `);
  low.use((at) => {
    using d = Directory.open(path.join(at, "d"));
    writeXattr({ directory: d, name: "caps" }, "security.capability", capability);
  });
  const below = await low.bring(await low.pack());
  const top = new Claim(scratch, below).run("rm -r gone o; mkdir o; echo n > o/n; echo more >> d/two");
  return await top.bring(await top.pack(), below);
}

/** What stands on the layers' derivations for the group, as pods of it find it. */
async function begin(below: readonly string[], gid: number): Promise<Claim> {
  const given = below.map((_layer, at) => path.join(scratch.directory(), `given-${at}`));
  for (const [at, layer] of below.entries()) await cloneForGroup(layer, given[at] ?? "", gid);
  const claim = new Claim(scratch, given);
  fs.rmdirSync(claim.upper);
  await startUpper(claim.upper, below, {});
  await giveTreeToGroup(claim.upper, gid);
  return claim;
}

/** As a pod that runs as a user of its own, with the group among its others. */
function runAs(claim: Claim, gid: number, script: string): Claim {
  const user = ["--reuid", "1001", "--regid", "1001", "--groups", `${gid}`, "--inh-caps=-all"];
  return claim.use((at) =>
    execFileSync("setpriv", [...user, "bash", "-euc", script], {
      cwd: at,
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
}

async function take(claim: Claim, below: readonly string[], gid: number): Promise<PackedDelta> {
  const { upper } = claim;
  await takeTreeFromGroup({ upper, below, kind: "overlay", gid, wishes: {} });
  return await claim.pack({ below });
}

const shown = (layers: readonly string[]) => shownBy(scratch, layers, "content");
const gidsOf = (facts: Record<string, string>) =>
  new Set(Object.values(facts).map((fact) => fact.split(" ")[3]));

describe("cloneForGroup()", () => {
  it("shows what its layers show, all of it the group's to read and to write", async () => {
    const below = await base();
    const claim = await begin(below, 7);
    const [before, after] = [shown(below), shown(claim.below)];
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(gidsOf(after)).toEqual(new Set(["7"]));
    const modes = (facts: Record<string, string>) =>
      ["d", "d/e", "d/one", "d/program", "private", "private/s"].map((name) => facts[name]?.split(" ")[1]);
    expect(modes(before)).toEqual(["755", "2750", "644", "4755", "700", "600"]);
    expect(modes(after)).toEqual(["2775", "2770", "664", "4775", "2770", "660"]);
    expect(after["d/caps"]).toContain(`security.capability=${capability.toString("hex")}`);
    expect(isGroups(claim.below[0] ?? "", 7)).toBe(true);
    expect(isGroups(below[0] ?? "", 7)).toBe(false);
  });
});

describe("giveTreeToGroup()", () => {
  it("gives all to another group, however deep and protected, and hides what it hid", async () => {
    const below = await base();
    const claim = await begin(below, 7);
    claim.run(`
      rm d/one; rm -r o; mkdir -p o/new; umask 077; echo m > mine; chmod 4711 mine; echo k > o/new/kept
      printf '%0200d/' $(seq 30) | xargs mkdir -p; setcap cap_net_raw=ep o/new/kept
    `);
    for (const [flag, name] of [
      ["+i", "mine"],
      ["+a", "o/new"],
    ] as const)
      execFileSync("chattr", [flag, path.join(claim.upper, name)]);
    const names = Object.keys(shown([claim.upper, ...below]));
    await giveTreeToGroup(claim.upper, 8);
    await giveTreeToGroup(claim.upper, 8);
    const after = shown([claim.upper, ...below]);
    expect(Object.keys(after)).toEqual(names);
    expect(gidsOf(shown([claim.upper]))).toEqual(new Set(["8"]));
    expect(after["mine"]).toMatch(/^file 4771 0 8 /);
    expect(after["o/new/kept"]).toMatch(/^file 660 0 8 .*security\.capability=/);
    expect(isGroups(claim.upper, 8)).toBe(true);
  });

  it("makes the root the group's last, so that it tells of the whole", async () => {
    const claim = await begin([], 7);
    claim.run("mkdir -p a/b; for name in $(seq 200); do echo x > a/b/$name; done");
    // Until its first pause it runs at once.
    const given = giveTreeToGroup(claim.upper, 8);
    expect(isGroups(claim.upper, 8)).toBe(false);
    await given;
    expect(isGroups(claim.upper, 8)).toBe(true);
  });
});

describe("takeTreeFromGroup()", () => {
  it("leaves nothing to be packed of what nobody changed, though all of it was copied up", async () => {
    const below = await base();
    const claim = await begin(below, 7);
    claim.run("find . -exec touch -h -c {} +; chmod u+w d/one; chgrp 7 d/two");
    const packed = await take(claim, below, 7);
    expect(packed.parts).toEqual([]);
    expect(packed.unchanged).toBeGreaterThan(10);
  });

  it("packs what pods changed with its own group and mode", async () => {
    const below = await base();
    const before = shown(below);
    const claim = await begin(below, 7);
    runAs(
      claim,
      7,
      `umask 022; echo changed >> d/one; echo n > private/new; mkdir -p made/in; echo x > made/in/x
       rm d/symlink; chmod o-r private/new; cp d/two d/e/copy`,
    );
    claim.run("chmod g-w,o-r d/program; chgrp 99 d/caps");
    const packed = await take(claim, below, 7);
    const there = shown(await claim.bring(packed, below));
    const fact = (name: string) => there[name]?.split(" ").slice(0, 4).join(" ");
    expect(fact("d/one")).toBe("file 644 12 34");
    expect(fact("d/e")).toBe(before["d/e"]);
    expect(fact("private")).toBe(before["private"]);
    expect(fact("private/new")).toBe("file 640 1001 0");
    expect(fact("made/in")).toBe("directory 755 1001 0");
    expect(fact("d/e/copy")).toBe("file 644 1001 0");
    expect(fact("d/program")).toBe("file 4751 0 0");
    expect(fact("d/caps")).toBe("file 664 0 99");
    expect(fact("")).toBe(before[""]?.split(" ").slice(0, 4).join(" "));
    expect(there["d/symlink"]).toBeUndefined();
  });

  it("gives the same bytes whichever group it was, and when it is repeated", async () => {
    const below = await base();
    const made: unknown[] = [];
    for (const gid of [7, 70_000]) {
      const claim = await begin(below, gid);
      runAs(claim, gid, "echo c >> d/one; mkdir m; echo x > m/x; ln m/x m/y; rm o/n");
      claim.run("find d/one m . -maxdepth 1 ! -type p -exec touch -h -d '2001-02-03' {} +");
      const { parts } = await take(claim, below, gid);
      made.push(parts.map(({ digest }) => digest));
      const again = await take(claim, below, gid);
      made.push(again.parts.map(({ digest }) => digest));
    }
    expect(made[0]).toHaveLength(1);
    expect(new Set(made.map((one) => JSON.stringify(one)))).toHaveLength(1);
  });

  it("gives the next pods, of another group, what they may read and write", async () => {
    const below = await base();
    const first = await begin(below, 7);
    runAs(first, 7, "mkdir made; echo one > made/x; chmod 600 made/x");
    const layers = await first.bring(await take(first, below, 7), below);
    const second = await begin(layers, 8);
    runAs(second, 8, "echo two >> made/x; echo new > made/y; echo changed >> d/one; cat private/s");
    const packed = await take(second, layers, 8);
    expect(listed(packed.parts[0]?.path ?? "").sort()).toEqual([
      "./",
      "d/",
      "d/one",
      "made/",
      "made/x",
      "made/y",
    ]);
    const there = shown(await second.bring(packed, layers));
    expect(there["made/x"]).toMatch(/^file 600 1001 0 8 /);
    expect(there["made"]).toMatch(/^directory 755 1001 0/);
  });

  it.each([
    ["as it began", {}, "directory 777 0 0"],
    ["as it was wished", { gid: 5, mode: 0o750 }, "directory 750 0 5"],
  ])("makes the root of an empty volume %s", async (_what, wishes, root) => {
    const { upper } = new Claim(scratch, []);
    fs.rmdirSync(upper);
    await startUpper(upper, [], wishes);
    await giveTreeToGroup(upper, 7);
    expect(isGroups(upper, 7)).toBe(true);
    await takeTreeFromGroup({ upper, below: [], kind: "overlay", gid: 7, wishes });
    expect(shown([upper])[""]).toBe(root);
  });

  it("takes marks for entries like others where the directory is the whole", async () => {
    const below = await base();
    const { upper } = new Claim(scratch, below);
    execFileSync("mknod", [path.join(upper, "null"), "c", "0", "0"]);
    execFileSync("mkdir", ["-p", path.join(upper, "d")]);
    await giveTreeToGroup(upper, 7);
    await takeTreeFromGroup({ upper, below, kind: "plain", gid: 7, wishes: {} });
    expect(fs.statSync(path.join(upper, "d")).gid).toBe(0);
    expect(fs.statSync(path.join(upper, "d")).mode & 0o7777).toBe(0o755);
    using directory = Directory.open(upper);
    expect(readXattr({ directory, name: "." }, "trusted.overlay.opaque")).toBeUndefined();
  });
});
