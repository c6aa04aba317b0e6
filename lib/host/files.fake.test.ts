import { describe, expect, it } from "vitest";
import { filesContract } from "./files.contract.ts";
import { MemoryFiles } from "./files.fake.ts";

filesContract("MemoryFiles", async () => {
  const files = new MemoryFiles();
  await files.makeDirectory("/root/of/test");
  return {
    files,
    root: "/root/of/test",
    leave: async (path) => files.leaveWriteOf(path),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describe("MemoryFiles.losePower()", () => {
  it("forgets what was not synced, keeps what was, and boots anew", async () => {
    const files = new MemoryFiles();
    await files.makeDirectory("/d");
    await files.syncDirectory("/");
    const before = files.bootId();
    await files.writeAtomically("/d/kept", Buffer.from("1"), { durable: true });
    await files.writeAtomically("/d/kept", Buffer.from("2"), { durable: false });
    await files.writeAtomically("/d/lost", Buffer.from("3"), { durable: false });
    files.losePower();
    expect(await files.list("/d")).toEqual([{ name: "kept", kind: "file" }]);
    expect(Buffer.from(await files.read("/d/kept")).toString()).toBe("1");
    expect(files.bootId()).not.toBe(before);
  });

  it("brings back what was removed or renamed and not synced", async () => {
    const files = new MemoryFiles();
    await files.makeDirectory("/a/inner");
    await files.syncFilesystem("/");
    await files.rename("/a", "/b");
    files.losePower();
    expect((await files.list("/")).map(({ name }) => name)).toEqual(["a"]);
    await files.rename("/a", "/b");
    await files.syncDirectory("/");
    files.losePower();
    expect((await files.list("/")).map(({ name }) => name)).toEqual(["b"]);
  });

  it("is full when it is told so", async () => {
    const files = new MemoryFiles();
    files.room = { ...files.room, bytesFree: 3 };
    const write = files.writeAtomically("/f", Buffer.from("four"), { durable: true });
    await expect(write).rejects.toMatchObject({ reason: "full" });
    expect(await files.list("/")).toEqual([]);
  });
});
