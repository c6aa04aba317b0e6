import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Directory } from "../host/directory.ts";
import { listXattrs, writeXattr } from "../host/xattrs.ts";
import { assembleLayers } from "./clone-tree.ts";
import { packMerged } from "./pack-merged.ts";
import { startCopy } from "./start-upper.ts";
import { Claim, listed, shownBy } from "./testing/claim.ts";
import { Scratch, treeOf } from "./testing/scratch.ts";
import { trimLayer } from "./trim-layer.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const pace = { isBegun: false, isHasty: () => false };

const FILL = `
  umask 022
  mkdir -p d/e/f gone keep o/deep/er turn empty "$(printf 'caf\\xc3\\xa9')"
  echo one > d/one; echo two > d/e/two; echo three > d/e/f/three
  echo x > gone/x; echo k > keep/k; ln keep/k keep/k2; ln -s ../keep/k d/link
  echo a > o/a; echo b > o/deep/b; echo c > o/deep/er/c
  echo file > kind; echo t > turn/t; mkfifo pipe
  chown 12:34 d/one; chmod 4755 d/e/two; chmod 1777 empty
  printf 'odd' > "$(printf 'n\\xff\\n=x')"; head -c 3000000 /dev/urandom > big
  truncate -s 20M sparse; printf mid | dd of=sparse bs=1 seek=9000000 conv=notrunc status=none
  touch -d '1999-01-02 03:04:05.123456789' d/one; touch -d '1960-01-01 00:00:00.5' kind
`;
const CHANGE = `
  echo more >> d/e/two; rm -r gone; rm -r o; mkdir o; echo new > o/n
  rm kind; mkdir kind; echo in > kind/in; rm -r turn; ln -s d turn; rm empty -r; mkdir empty
  mv big d/moved; cp -a d/e d/copied; ln keep/k linked; chmod 600 d/one
  mkdir -p "$(printf 'long/%0200d/%0200d' 1 2)"; echo l > "$(printf 'long/%0200d/%0200d/%0200d' 1 2 3)"
`;
const AGAIN = `rm linked; echo x >> o/n; rm -r kind; echo f > kind; touch d/moved; rm turn; mkdir turn; rm d/copied/two`;

/** A claim without a base, with everything in it that a tree may have. */
function filledClaim(): Claim {
  return new Claim(scratch, []).run(FILL).use((at) => {
    using keep = Directory.open(path.join(at, "keep"));
    writeXattr({ directory: keep, name: "k" }, "user.k", Buffer.from([0, 0xff, 0x3d, 0x0a]));
    writeXattr({ directory: keep, name: "." }, "user.empty", Buffer.alloc(0));
    using deep = Directory.open(path.join(at, "d/e/f"));
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    writeXattr({ directory: deep, name: "three" }, "security.capability", capability);
  });
}

async function filled(): Promise<string[]> {
  const claim = filledClaim();
  return await claim.bring(await claim.pack());
}

describe("packDelta() round trips", () => {
  it.each(["content", "exact"] as const)(
    "give others what is here, through three generations, by %s",
    async (compare) => {
      const first = filledClaim();
      const packedFirst = await first.pack({ compare });
      let there = await first.bring(packedFirst);
      let here = [first.upper, ...first.below];
      expect(shownBy(scratch, there, "exact")).toEqual(shownBy(scratch, here, "exact"));
      for (const script of [CHANGE, AGAIN]) {
        const claim = new Claim(scratch, here).run(script);
        const before = shownBy(scratch, [claim.upper, ...here], compare);
        const packed = await claim.pack({ compare });
        there = await claim.bring(packed, there);
        expect(shownBy(scratch, there, compare)).toEqual(before);
        claim.trim(packed);
        here = [claim.upper, ...here];
        expect(shownBy(scratch, here, compare)).toEqual(before);
        expect(shownBy(scratch, here, "exact")).toEqual(shownBy(scratch, there, "exact"));
      }
    },
  );

  it("are the same bytes twice, and from a trimmed upper too", async () => {
    const claim = new Claim(scratch, await filled()).run(CHANGE);
    const [first, second] = [await claim.pack(), await claim.pack()];
    expect(first.parts[0]?.digest).toBe(second.parts[0]?.digest);
    claim.trim(first);
    claim.trim(first);
    const third = await claim.pack();
    expect(third.parts[0]?.diffId).toBe(first.parts[0]?.diffId);
    expect(third.trims).toBeLessThan(first.trims);
  });
});

describe("packDelta() of what replaces some of its base", () => {
  /** Of all that these show. */
  const bytesOf = async (layers: readonly string[]) =>
    (await packMerged({ layers, directory: scratch.directory(), compression: "zstd", layerMax: 2 ** 30 }))
      .bytes;

  it.each([
    ["through generations", [CHANGE, AGAIN]],
    ["file by file", ["head -c 5000 /dev/zero > d/one", "head -c 7 /dev/zero > d/one", "rm d/one"]],
    [
      "with directories that become files, and files that become directories",
      ["rm -r d; echo f > d; rm big; mkdir big; echo in > big/in"],
    ],
    ["with directories that go and come", ["rm -r d o", "mkdir d; echo x > d/x", "rm -r d; mkdir d"]],
    ["with all of it gone", ["rm -r ./*"]],
    ["with sparse files", ["cp --sparse=always sparse other; echo x >> sparse", "rm sparse"]],
    ["with files of several names", ["rm -r keep; ln big linked", "rm linked"]],
    ["with nothing that is new", ["cp d/one x; cat x > d/one; rm x"]],
  ])("counts what both show together, %s", async (_, scripts) => {
    let layers = await filled();
    let bytes = await bytesOf(layers);
    for (const script of scripts) {
      const claim = new Claim(scratch, layers).run(script);
      const packed = await claim.pack();
      bytes += packed.bytes - packed.replaced;
      layers = [claim.upper, ...layers];
      expect(bytes).toBe(await bytesOf(layers));
    }
  });
});

describe("packDelta() of what did not change", () => {
  const touched = `find . -not -type l -exec touch {} +; cp d/one x; cat x > d/one; rm x; chmod 0600 keep/k; chmod 0644 keep/k`;

  it("packs nothing, and takes it out of the layer", async () => {
    const below = await filled();
    const claim = new Claim(scratch, below).run(touched);
    const shown = shownBy(scratch, below, "exact");
    const packed = await claim.pack();
    expect(packed.parts).toEqual([]);
    expect(packed.unchanged).toBeGreaterThan(15);
    expect(fs.readdirSync(packed.directory)).toEqual(["trim-2"]);
    claim.trim(packed);
    expect(treeOf(claim.upper)).toEqual({});
    expect(shownBy(scratch, [claim.upper, ...below], "exact")).toEqual(shown);
  });

  it("counts times under exact", async () => {
    const claim = new Claim(scratch, await filled()).run(`touch d/e/two; chmod 600 d/one; chmod 644 d/one`);
    const packed = await claim.pack({ compare: "exact" });
    expect(packed.parts.flatMap(({ path: part }) => listed(part))).toEqual(["./", "d/", "d/e/", "d/e/two"]);
  });

  it("finds it in a directory that was removed and filled again, and hides the rest by name", async () => {
    const below = await filled();
    const claim = new Claim(scratch, below).run(
      `cp -a d /tmp/$$; rm -r d; cp -r --preserve=all /tmp/$$ d; rm -r /tmp/$$; rm d/one; echo 4 > d/e/f/four`,
    );
    const before = shownBy(scratch, [claim.upper, ...below], "content");
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual([
      "./",
      "d/",
      "d/e/",
      "d/e/f/",
      "d/e/f/four",
      "d/.wh.one",
    ]);
    expect(shownBy(scratch, await claim.bring(packed), "content")).toEqual(before);
    claim.trim(packed);
    expect(treeOf(claim.upper)).toEqual({
      d: "directory 755",
      "d/e": "directory 755",
      "d/e/f": "directory 755",
      "d/e/f/four": "file 644 2",
      "d/one": "character 600",
    });
    expect(shownBy(scratch, [claim.upper, ...below], "content")).toEqual(before);
  });

  it("says that a directory hides all beneath it where nothing in it is the same", async () => {
    const claim = new Claim(scratch, await filled()).run(`rm -r o; mkdir o; echo new > o/n`);
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "o/", "o/.wh..wh..opq", "o/n"]);
  });

  it("leaves out whiteouts that hide nothing", async () => {
    const claim = new Claim(scratch, await filled());
    execFileSync("mknod", [path.join(claim.upper, "nothing"), "c", "0", "0"]);
    const packed = await claim.pack();
    expect(packed).toMatchObject({ parts: [], entries: 0 });
    claim.trim(packed);
    expect(treeOf(claim.upper)).toEqual({});
  });
});

describe("packDelta() and files with several names", () => {
  it("keeps them one file when a name is added, and packs it again for that", async () => {
    const below = await filled();
    const claim = new Claim(scratch, below).run(`ln keep/k third`);
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "keep/", "keep/k", "third"]);
    const [top] = await claim.bring(packed);
    expect(fs.statSync(`${top}/third`).ino).toBe(fs.statSync(`${top}/keep/k`).ino);
  });

  it("leaves them out where every one is as it was", async () => {
    const claim = new Claim(scratch, await filled()).run(
      `cp -a keep z; rm -r keep; mv z keep || { cp -a z keep; rm -r z; }`,
    );
    expect((await claim.pack()).parts).toEqual([]);
  });
});

describe("packDelta() of what a pod left on purpose", () => {
  it("leaves this node's own attributes out, and takes nothing for changed by them", async () => {
    const claim = new Claim(scratch, await filled()).run("touch d/one; echo new > new");
    using upper = Directory.open(claim.upper);
    using d = Directory.open(path.join(claim.upper, "d"));
    for (const key of ["trusted.of-here", "security.selinux"]) {
      writeXattr({ directory: upper, name: "new" }, key, Buffer.from("odd"));
      writeXattr({ directory: d, name: "one" }, key, Buffer.from("odd"));
    }
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "new"]);
    const [top = ""] = await claim.bring(packed);
    using there = Directory.open(top);
    expect(listXattrs({ directory: there, name: "new" })).toEqual([]);
  });

  it("refuses an overlay mounted with other features, by the attribute's name", async () => {
    const claim = new Claim(scratch, await filled()).run("mkdir new; touch d/one");
    using upper = Directory.open(claim.upper);
    writeXattr({ directory: upper, name: "new" }, "trusted.overlay.redirect", Buffer.from("/d"));
    await expect(claim.pack()).rejects.toMatchObject({
      reason: "unsupported",
      message: /Cannot pack "new": it has the attribute "trusted.overlay.redirect"/,
    });
  });

  it("follows no symlink that stands where the base has a directory, nor one beneath it", async () => {
    const outside = scratch.directory("outside");
    fs.mkdirSync(path.join(outside, "e"));
    fs.writeFileSync(path.join(outside, "one"), "secret");
    const claim = new Claim(scratch, await filled()).run(`rm -r d; ln -s ${outside} d`);
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "d"]);
    const next = new Claim(scratch, [claim.upper, ...claim.below]).run("rm d; mkdir -p d/e; echo x > d/one");
    expect(listed((await next.pack()).parts[0]?.path ?? "")).toEqual(["./", "d/", "d/e/", "d/one"]);
  });

  it("hides what a socket or a device stands in the place of, here and there", async () => {
    const claim = new Claim(scratch, await filled()).run("rm d/one kind");
    fs.rmSync(path.join(claim.upper, "d/one"));
    execFileSync("mknod", [path.join(claim.upper, "d/one"), "b", "7", "1"]);
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "d/", "d/.wh.one", ".wh.kind"]);
    expect(packed.leftOut).toEqual({ count: 1, first: ['"d/one": it is a device node'] });
    claim.trim(packed);
    expect(treeOf(claim.upper)["d/one"]).toBe("character 600");
    expect(shownBy(scratch, [claim.upper, ...claim.below], "content")).toEqual(
      shownBy(scratch, await claim.bring(packed), "content"),
    );
  });

  it("takes names of 255 bytes away, and directories beyond what a path may be", async () => {
    const longest = "n".repeat(255);
    const deep = `for i in $(seq 60); do mkdir ${"p".repeat(200)}; cd ${"p".repeat(200)}; done; echo bottom > f`;
    const first = new Claim(scratch, []).run(`touch ${longest}; ${deep}`);
    const packed = await first.pack();
    const below = await first.bring(packed);
    const before = shownBy(scratch, below, "exact");
    expect(Object.keys(before).some((name) => name.length > 12_000)).toBe(true);
    expect(before).toEqual(shownBy(scratch, [first.upper], "exact"));
    const second = new Claim(scratch, below).run(`rm ${longest}; chmod 700 .`);
    const layers = await second.bring(await second.pack());
    expect(shownBy(scratch, layers, "content")[longest]).toBeUndefined();
  });

  it("trims what carries immutable and append-only flags", async () => {
    const claim = new Claim(scratch, await filled()).run("touch d/one d/e/two; mkdir d/new");
    const protect = (flag: string, name: string) =>
      execFileSync("chattr", [flag, path.join(claim.upper, name)]);
    protect("+i", "d/one");
    protect("+a", "d/e");
    protect("+i", "d");
    const packed = await claim.pack();
    expect(listed(packed.parts[0]?.path ?? "")).toEqual(["./", "d/", "d/new/"]);
    claim.trim(packed);
    expect(treeOf(claim.upper)).toEqual({ d: "directory 755", "d/new": "directory 755" });
  });
});

describe("packDelta() of a plain directory", () => {
  it("finds what was changed, added and removed, and takes no marks for what they are elsewhere", async () => {
    const below = await filled();
    const copy = path.join(scratch.path, "copy");
    await assembleLayers(below, copy, { links: "reflink-or-copy" });
    execFileSync("bash", ["-euc", CHANGE + "touch d/e/f/three"], { cwd: copy });
    execFileSync("mknod", [path.join(copy, "zero"), "c", "0", "0"]);
    using top = Directory.open(copy);
    writeXattr({ directory: top, name: "keep" }, "trusted.overlay.opaque", Buffer.from("y"));
    const packed = await new Claim(scratch, below).pack({ upper: copy, kind: "plain" });
    expect(packed).toMatchObject({ trims: 1, leftOut: { count: 2 } });
    trimLayer(copy, packed.directory, pace);
    expect(fs.existsSync(path.join(copy, "zero"))).toBe(false);
    const layers = await new Claim(scratch, below).bring(packed);
    expect(shownBy(scratch, layers, "content")).toEqual(shownBy(scratch, [copy], "content"));
    expect(listed(packed.parts[0]?.path ?? "")).not.toContain("d/e/f/three");
  });
});

describe("packDelta() of a plain directory that was emptied and filled with other names", () => {
  it("hides all that was there name by name, since overlays hear of no other way at a layer's root", async () => {
    const below = await filled();
    const copy = scratch.directory();
    fs.writeFileSync(path.join(copy, "other"), "other");
    fs.chmodSync(copy, 0o755);
    const packed = await new Claim(scratch, below).pack({ upper: copy, kind: "plain" });
    const layers = await new Claim(scratch, below).bring(packed);
    expect(shownBy(scratch, layers, "content")).toEqual(shownBy(scratch, [copy], "content"));
    expect(listed(packed.parts[0]?.path ?? "")).not.toContain(".wh..wh..opq");
  });
});

describe("packDelta() of devices in a plain directory", () => {
  const nodes = (at: string) =>
    execFileSync("find", [".", "-type", "c", "-o", "-type", "b"], { cwd: at, encoding: "utf8" })
      .split("\n")
      .filter(Boolean)
      .sort()
      .map((name) => {
        const { mode, rdev } = fs.statSync(path.join(at, name));
        return `${name} ${mode.toString(8)} ${rdev}`;
      });
  const copyOf = async (below: readonly string[]) => {
    const upper = path.join(scratch.directory(), "upper");
    await startCopy(upper, below, {});
    return upper;
  };
  const make = (at: string, ...args: readonly string[]) => execFileSync("mknod", [...args], { cwd: at });
  const plain = { kind: "plain", devices: true } as const;

  it("brings them to others where that is asked for, those of container storage that are 0:0 too", async () => {
    const first = await copyOf(await filled());
    for (const args of [
      ["d/zero", "c", "0", "0"],
      ["d/null", "c", "1", "3"],
      ["loop", "b", "7", "1"],
    ])
      make(first, ...args);
    fs.chmodSync(path.join(first, "loop"), 0o604);
    const one = new Claim(scratch, await filled());
    const packed = await one.pack({ upper: first, ...plain });
    expect(packed.leftOut.count).toBe(0);
    const layers = await one.bring(packed);
    const second = await copyOf(layers);
    expect(nodes(second)).toEqual(nodes(first));
    expect(nodes(first).length).toBe(3);
    const again = await new Claim(scratch, layers).pack({ upper: second, ...plain });
    expect(again.parts).toEqual([]);
    fs.rmSync(path.join(second, "d/zero"));
    make(second, "other", "c", "0", "0");
    const change = await new Claim(scratch, layers).pack({ upper: second, ...plain });
    expect(listed(change.parts[0]?.path ?? "")).toEqual(["./", "d/", "d/.wh.zero", "other"]);
    expect(nodes(await copyOf(await new Claim(scratch, layers).bring(change)))).toEqual(nodes(second));
  });

  it("tells of a root's marks of overlays, which no later copy has here or elsewhere, and brings those of others", async () => {
    const first = await copyOf(await filled());
    using top = Directory.open(first);
    const mark = (key: string) => writeXattr({ directory: top, name: "d" }, key, Buffer.from("y"));
    for (const key of ["trusted.overlay.opaque", "user.overlay.opaque"]) mark(key);
    const one = new Claim(scratch, await filled());
    const packed = await one.pack({ upper: first, ...plain });
    expect(packed.leftOut).toEqual({
      count: 1,
      first: [expect.stringContaining('"d": its attributes trusted.overlay.*')],
    });
    for (const copy of [await copyOf([first]), await copyOf(await one.bring(packed))]) {
      using there = Directory.open(copy);
      expect(listXattrs({ directory: there, name: "d" })).toEqual(["user.overlay.opaque"]);
      expect((await one.pack({ upper: copy, ...plain })).leftOut.count).toBe(0);
    }
  });

  it("gives what was committed here as it is, devices among it", async () => {
    const first = await copyOf(await filled());
    make(first, "d/zero", "c", "0", "0");
    using top = Directory.open(first);
    writeXattr({ directory: top, name: "d" }, "trusted.overlay.opaque", Buffer.from("y"));
    const second = await copyOf([first]);
    expect(treeOf(second)).toEqual(treeOf(first));
    expect(nodes(second).length).toBe(1);
    const change = await new Claim(scratch, [first]).pack({ upper: second, ...plain });
    expect(change.parts).toEqual([]);
  });

  it("leaves those of the base as they are, and takes none away", async () => {
    const base = await copyOf(await filled());
    make(base, "d/null", "c", "1", "3");
    const upper = await copyOf([base]);
    make(upper, "mine", "c", "1", "5");
    const packed = await new Claim(scratch, [base]).pack({ upper, kind: "plain" });
    expect(packed.leftOut).toEqual({ count: 1, first: ['"mine": it is a device node'] });
    expect(packed.parts).toEqual([]);
  });
});

describe("trimLayer()", () => {
  it("leaves in haste what equals the base, and shows what a whole trimming does, times too", async () => {
    const script = `${CHANGE} cp -a d z; rm -r d; cp -a z d; rm -r z; rm d/one; touch d/e/f/* keep/k; mkfifo d/f; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("d/socket")'`;
    const below = await filled();
    const [claim, twin] = [new Claim(scratch, below), new Claim(scratch, below)];
    claim.run(script);
    execFileSync("cp", ["-a", `${claim.upper}/.`, twin.upper]);
    const [packed, packedTwin] = [await claim.pack(), await twin.pack()];
    let asked = 0;
    expect(claim.trim(packed, () => ++asked > 1)).toBe(false);
    const left = fs.readdirSync(claim.upper, { recursive: true }).length;
    expect(twin.trim(packedTwin)).toBe(true);
    expect(fs.readdirSync(twin.upper, { recursive: true }).length).toBeLessThan(left);
    expect(fs.existsSync(path.join(claim.upper, "d/socket"))).toBe(false);
    const shown = ({ upper }: Claim) => shownBy(scratch, [upper, ...below], "content");
    expect(shown(claim)).toEqual(shown(twin));
    expect(claim.trim(packed)).toBe(true);
    const all = ({ upper }: Claim) => shownBy(scratch, [upper, ...below], "exact");
    expect(all(claim)).toEqual(all(twin));
  });

  it("does nothing where haste comes before it", async () => {
    const claim = new Claim(scratch, await filled()).run("touch keep/k d/one");
    const packed = await claim.pack();
    const before = treeOf(claim.upper);
    const isHasty = () => true;
    expect(trimLayer(claim.upper, packed.directory, { isBegun: false, isHasty })).toBe(false);
    expect(treeOf(claim.upper)).toEqual(before);
  });

  it("takes a directory out as one where nothing of it stays", async () => {
    const script = "cp -a d z; rm -r d; cp -a z d; rm -r z; touch keep/k; echo new > keep/new";
    const claim = new Claim(scratch, await filled()).run(script);
    const packed = await claim.pack();
    const journal = fs.readFileSync(path.join(packed.directory, "trim-2"), "latin1");
    const removals = journal.split("\0").filter((step) => step.startsWith("remove"));
    expect(removals).toEqual(["remove /keep/k", "remove /d"]);
    expect(treeOf(claim.upper)["d/e/two"]).toBeDefined();
    claim.trim(packed);
    expect(treeOf(claim.upper)).toEqual({ keep: "directory 755", "keep/new": expect.anything() });
  });

  it("shows the same tree wherever it is interrupted, and ends the same", async () => {
    const script = `${CHANGE} cp -a d z; rm -r d; cp -a z d; rm -r z; rm d/one; touch keep/k`;
    const claim = new Claim(scratch, await filled()).run(script);
    const shown = () => shownBy(scratch, [claim.upper, ...claim.below], "content");
    const [before, packed] = [shown(), await claim.pack()];
    const steps = ["trim-1", "trim-2"].flatMap((stage) =>
      fs.readFileSync(path.join(packed.directory, stage), "latin1").split("\0").filter(Boolean),
    );
    expect(steps.length).toBe(packed.trims);
    for (let done = 1; done < steps.length; done += 3) {
      const part = scratch.directory();
      const cut = steps.slice(0, done).map((step) => `${step}\0`);
      fs.writeFileSync(path.join(part, "trim-1"), cut.join(""), "latin1");
      claim.trim({ directory: part });
      expect(shown()).toEqual(before);
    }
    claim.trim(packed);
    expect(shownBy(scratch, [claim.upper, ...claim.below], "exact")).toEqual(
      shownBy(scratch, await claim.bring(packed), "exact"),
    );
  });

  it("refuses a journal that is cut", async () => {
    const [layer, journal] = [scratch.directory(), scratch.directory()];
    fs.writeFileSync(path.join(journal, "trim-1"), "remove /a\0remove /b");
    expect(() => trimLayer(layer, journal, pace)).toThrow("is cut");
  });
});

describe("more extended attributes than an archive takes of one entry", () => {
  it("stay out alone, and are told by name, in a change and in a whole", async () => {
    const upper = scratch.directory();
    // Other file systems hold less on an inode.
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m,mode=755", "none", upper]);
    try {
      fs.mkdirSync(path.join(upper, "d"));
      fs.writeFileSync(path.join(upper, "few"), "few");
      fs.writeFileSync(path.join(upper, "many"), "many");
      fs.linkSync(path.join(upper, "many"), path.join(upper, "twin"));
      using directory = Directory.open(upper);
      const give = (name: string, count: number) => {
        for (let number = 0; number < count; number++)
          writeXattr({ directory, name }, `security.of-${String(number)}`, Buffer.alloc(60_000, 7));
      };
      for (const [name, count] of [
        ["d", 9],
        ["few", 8],
        ["many", 9],
      ] as const)
        give(name, count);
      const claim = new Claim(scratch, []);
      const merged = {
        layers: [upper],
        directory: scratch.directory(),
        compression: "zstd",
        layerMax: 2 ** 30,
      } as const;
      for (const { leftOut, parts } of [await claim.pack({ upper }), await packMerged(merged)]) {
        expect(leftOut).toEqual({
          count: 2,
          first: [
            expect.stringMatching(/^"d\/?": its extended attributes/),
            expect.stringMatching(/^"many": /),
          ],
        });
        expect(listed(parts[0]?.path ?? "")).toEqual(["./", "d/", "few", "many", "twin"]);
      }
    } finally {
      execFileSync("umount", [upper]);
    }
  });
});
