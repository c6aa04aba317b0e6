import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findTextFile, readTextFile } from "./text-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "larder-text-"));
  writeFileSync(path.join(folder, "there"), "text");
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => path.join(folder, name);

describe("readTextFile()", () => {
  it("reads what is there, and says what is missing or no file", async () => {
    expect(await readTextFile(at("there"), "it")).toBe("text");
    await expect(readTextFile(at("gone"), "the node's settings")).rejects.toMatchObject({
      reason: "not-found",
      message: `Cannot read the node's settings "${at("gone")}": it does not exist`,
    });
    await expect(readTextFile(folder, "it")).rejects.toMatchObject({ reason: "conflict" });
  });
});

describe("findTextFile()", () => {
  it("takes a missing file for none, and nothing else", async () => {
    expect(await findTextFile(at("there"), "it")).toBe("text");
    expect(await findTextFile(at("gone"), "it")).toBeUndefined();
    await expect(findTextFile(folder, "it")).rejects.toMatchObject({ reason: "conflict" });
  });
});
