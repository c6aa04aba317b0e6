// What every implementation of Files keeps.
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodePath } from "../core/path-bytes.ts";
import type { Files } from "./files.ts";

/** One implementation, and an empty directory of its own in it. */
export type FilesBench = AsyncDisposable & {
  readonly files: Files;
  readonly root: string;
  /** Leaves at `path` what a write that died before its rename leaves. */
  leave(path: string): Promise<void>;
};

export function filesContract(name: string, openBench: () => Promise<FilesBench>): void {
  describe(name, () => {
    let bench: FilesBench;
    let files: Files;
    const at = (...names: string[]) => path.join(bench.root, ...names);
    const write = (file: string, text: string, durable = false) =>
      files.writeAtomically(file, Buffer.from(text), { durable });
    const text = async (file: string) => Buffer.from(await files.read(file)).toString();
    const names = async (directory: string) => (await files.list(directory)).map(({ name }) => name);

    beforeEach(async () => {
      bench = await openBench();
      files = bench.files;
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    describe("writeAtomically()", () => {
      it.each([true, false])(
        "makes and replaces a file, durable %s, and leaves nothing beside it",
        async (durable) => {
          await write(at("f"), "one, which is longer", durable);
          expect(await text(at("f"))).toBe("one, which is longer");
          await write(at("f"), "two", durable);
          expect(await text(at("f"))).toBe("two");
          await write(at("empty"), "", durable);
          expect(await text(at("empty"))).toBe("");
          expect(await names(bench.root)).toEqual(["empty", "f"]);
        },
      );

      it("keeps a copy: what the caller does to the bytes afterwards does not count", async () => {
        const bytes = Buffer.from("one");
        await files.writeAtomically(at("f"), bytes, { durable: false });
        bytes.write("two");
        expect(await text(at("f"))).toBe("one");
      });

      it("asked often at once for one path, leaves the last one whole and nothing beside it", async () => {
        const texts = Array.from({ length: 40 }, (_, n) => `${n}`.repeat(1000 + n));
        await Promise.all(texts.map((value) => write(at("f"), value)));
        expect(await text(at("f"))).toBe(texts.at(-1));
        expect(await names(bench.root)).toEqual(["f"]);
      });

      it("goes on after a write to the same path that failed", async () => {
        await files.makeDirectory(at("f", "inner"));
        const failed = write(at("f"), "x");
        await expect(failed).rejects.toMatchObject({
          reason: "conflict",
          message: expect.stringContaining(at("f")),
        });
        await files.removeEmptyDirectory(at("f", "inner"));
        await files.removeEmptyDirectory(at("f"));
        await write(at("f"), "y");
        expect(await text(at("f"))).toBe("y");
      });

      it("writes over what a write that died left behind", async () => {
        await bench.leave(at("f"));
        await write(at("f"), "x");
        expect(await text(at("f"))).toBe("x");
        await files.removeLeftovers(bench.root);
        expect(await names(bench.root)).toEqual(["f"]);
      });

      it("refuses a directory that is not there", async () => {
        await expect(write(at("none", "f"), "x")).rejects.toMatchObject({ reason: "not-found" });
      });
    });

    describe("read()", () => {
      it.each([
        ["what is not there", "none", "not-found"],
        ["a directory", "d", "conflict"],
        ["what is under a file", "f/x", "conflict"],
      ])("refuses %s by its path", async (_, name, reason) => {
        await files.makeDirectory(at("d"));
        await write(at("f"), "x");
        const failure = { reason, message: expect.stringContaining(`"${at(name)}"`) };
        await expect(files.read(at(name))).rejects.toMatchObject(failure);
      });
    });

    describe("list()", () => {
      it("answers names and kinds, sorted, without what a write that died left behind", async () => {
        await write(at("b"), "");
        await files.makeDirectory(at("a"));
        await bench.leave(at("c"));
        expect(await files.list(bench.root)).toEqual([
          { name: "a", kind: "directory" },
          { name: "b", kind: "file" },
        ]);
        expect(await files.list(at("a"))).toEqual([]);
      });

      it("refuses what is not there or not a directory", async () => {
        await write(at("f"), "");
        await expect(files.list(at("none"))).rejects.toMatchObject({ reason: "not-found" });
        await expect(files.list(at("f"))).rejects.toMatchObject({ reason: "conflict" });
      });
    });

    describe("rename()", () => {
      it("moves a file over a file, and a directory with all it holds", async () => {
        await write(at("f"), "new");
        await write(at("g"), "old");
        await files.makeDirectory(at("d", "inner"));
        await write(at("d", "inner", "h"), "held");
        await files.rename(at("f"), at("g"));
        await files.rename(at("d"), at("e"));
        expect(await text(at("g"))).toBe("new");
        expect(await text(at("e", "inner", "h"))).toBe("held");
        expect(await names(bench.root)).toEqual(["e", "g"]);
      });

      it("takes the place of an empty directory, never of one that holds something", async () => {
        for (const name of ["d", "empty", "full"]) await files.makeDirectory(at(name));
        await write(at("full", "f"), "kept");
        await expect(files.rename(at("d"), at("full"))).rejects.toMatchObject({ reason: "conflict" });
        await files.rename(at("d"), at("empty"));
        expect(await names(bench.root)).toEqual(["empty", "full"]);
        expect(await text(at("full", "f"))).toBe("kept");
      });

      it("refuses what is not there, and a kind over the other", async () => {
        await files.makeDirectory(at("d"));
        await write(at("f"), "");
        await expect(files.rename(at("none"), at("x"))).rejects.toMatchObject({ reason: "not-found" });
        await expect(files.rename(at("f"), at("none", "x"))).rejects.toMatchObject({ reason: "not-found" });
        await expect(files.rename(at("d"), at("f"))).rejects.toMatchObject({ reason: "conflict" });
        await expect(files.rename(at("f"), at("d"))).rejects.toMatchObject({ reason: "conflict" });
      });
    });

    describe("makeDirectory()", () => {
      it("ensures it and those above it, again and again, at once", async () => {
        await Promise.all(Array.from({ length: 10 }, () => files.makeDirectory(at("a", "b", "c"))));
        await files.makeDirectory(at("a"));
        expect(await names(at("a", "b"))).toEqual(["c"]);
      });

      it("refuses a file in its way", async () => {
        await write(at("f"), "kept");
        await expect(files.makeDirectory(at("f"))).rejects.toMatchObject({ reason: "conflict" });
        await expect(files.makeDirectory(at("f", "d"))).rejects.toMatchObject({ reason: "conflict" });
        expect(await text(at("f"))).toBe("kept");
      });
    });

    describe("removeFile(), removeEmptyDirectory()", () => {
      it("say whether there was one, the second time too", async () => {
        await write(at("f"), "");
        await files.makeDirectory(at("d"));
        expect(await files.removeFile(at("f"))).toBe(true);
        expect(await files.removeFile(at("f"))).toBe(false);
        expect(await files.removeEmptyDirectory(at("d"))).toBe(true);
        expect(await files.removeEmptyDirectory(at("d"))).toBe(false);
        expect(await files.removeFile(at("none", "f"))).toBe(false);
      });

      it("never take the other kind, or a directory that holds something", async () => {
        await files.makeDirectory(at("d"));
        await write(at("d", "f"), "kept");
        await expect(files.removeFile(at("d"))).rejects.toMatchObject({ reason: "conflict" });
        await expect(files.removeEmptyDirectory(at("d"))).rejects.toMatchObject({ reason: "conflict" });
        await expect(files.removeEmptyDirectory(at("d", "f"))).rejects.toMatchObject({ reason: "conflict" });
        expect(await text(at("d", "f"))).toBe("kept");
      });
    });

    it("takes names with spaces, newlines and bytes that are not UTF-8", async () => {
      const odd = ["a b\n", "é", decodePath(Buffer.from([0x61, 0xff]))];
      for (const name of odd) {
        await files.makeDirectory(at(name));
        await write(at(name, name), name);
      }
      expect((await names(bench.root)).sort()).toEqual(odd.toSorted());
      for (const name of odd) expect(await files.removeFile(at(name, name))).toBe(true);
    });

    it("touch() sets the time of last change, to the millisecond", async () => {
      await write(at("f"), "");
      await files.touch(at("f"), 1_700_000_000_123);
      expect(await files.readTouched(at("f"))).toBe(1_700_000_000_123);
      await expect(files.touch(at("none"), 0)).rejects.toMatchObject({ reason: "not-found" });
      await expect(files.readTouched(at("none"))).rejects.toMatchObject({ reason: "not-found" });
    });

    it("syncDirectory() and syncFilesystem() answer for what is there and refuse what is not", async () => {
      await files.makeDirectory(at("d"));
      await files.syncDirectory(at("d"));
      await files.syncFilesystem(at("d"));
      await expect(files.syncDirectory(at("none"))).rejects.toMatchObject({ reason: "not-found" });
      await expect(files.syncFilesystem(at("none"))).rejects.toMatchObject({ reason: "not-found" });
    });

    it("statFilesystem() tells the room there is", async () => {
      const room = await files.statFilesystem(bench.root);
      expect(room.bytesTotal).toBeGreaterThan(0);
      expect(room.bytesFree).toBeLessThanOrEqual(room.bytesTotal);
      expect(room.inodesFree).toBeLessThanOrEqual(room.inodesTotal);
      await expect(files.statFilesystem(at("none"))).rejects.toMatchObject({ reason: "not-found" });
    });

    it("removeLeftovers() removes those alone", async () => {
      await write(at("f"), "kept");
      await bench.leave(at("g"));
      await bench.leave(at("f"));
      await files.removeLeftovers(bench.root);
      expect(await names(bench.root)).toEqual(["f"]);
      expect(await text(at("f"))).toBe("kept");
      await files.removeEmptyDirectory(at("d"));
    });

    it("bootId() is the same all through a boot", () => {
      expect(files.bootId()).toMatch(/^[0-9a-f-]{36}$/);
      expect(files.bootId()).toBe(files.bootId());
    });
  });
}
