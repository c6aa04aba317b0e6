// The socket: what is taken over, what is refused, how it appears, who may remove it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  watch,
  writeFile,
} from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../lib/core/failure.ts";
import { openSocket, parseEndpoint } from "./socket.ts";

let directory = "";
let at = "";
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "larder-socket-"));
  at = path.join(directory, "csi.sock");
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A listener that greets, so that a client knows whom it reached. */
const open = (name = "one", options: { gid?: number } = {}) =>
  openSocket(at, { ...options, accept: (connection) => void connection.end(name) });

async function greeting(): Promise<string> {
  const connection = net.connect(at);
  return (await connection.setEncoding("utf8").toArray()).join("");
}

/** What a killed plugin leaves: a socket that nobody listens at. */
async function leaveStale(): Promise<void> {
  const code = `require("node:net").createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 9))`;
  await once(spawn(process.execPath, ["-e", code], { stdio: "ignore" }), "exit");
  expect((await lstat(at)).isSocket()).toBe(true);
}

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "granted",
    (error: unknown) => (isFailure(error) ? `${error.reason}: ${error.message}` : `a bug: ${String(error)}`),
  );

describe("parseEndpoint()", () => {
  it.each([
    ["unix:///csi/csi.sock", "/csi/csi.sock"],
    ["/csi/csi.sock", "/csi/csi.sock"],
    [`unix:///${"x".repeat(101)}.sock`, `/${"x".repeat(101)}.sock`],
  ])("reads %s", (text, found) => {
    expect(parseEndpoint(text)).toBe(found);
  });

  it.each([
    ["", "no absolute path"],
    ["unix://csi/csi.sock", "no absolute path"],
    ["tcp://127.0.0.1:1", "no absolute path"],
    ["unix:///csi/csi", "does not end in .sock"],
    ["unix:///csi/.sock", "does not end in .sock"],
    ["unix:///csi/../csi.sock", "not in its shortest form"],
    ["unix:///csi//csi.sock", "not in its shortest form"],
    [`unix:///${"x".repeat(102)}.sock`, "longer than 107 bytes"],
  ])("refuses %j and says why", (text, why) => {
    expect(() => parseEndpoint(text)).toThrow(why);
  });
});

describe("openSocket()", () => {
  it("serves, leaves nothing beside the socket, and removes it at the end", async () => {
    const socket = await open();
    expect(await greeting()).toBe("one");
    expect(await readdir(directory)).toEqual(["csi.sock"]);
    await socket[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual([]);
  });

  it("gives it to its own user alone, and to a group where one is named", async () => {
    await (async () => {
      await using _ = await open();
      expect((await lstat(at)).mode & 0o777).toBe(0o600);
    })();
    const gid = process.getgid?.() ?? 0;
    await using _ = await open("one", { gid });
    const found = await lstat(at);
    expect([found.mode & 0o777, found.gid]).toEqual([0o660, gid]);
  });

  it("leaves the process's umask as it was", async () => {
    const before = process.umask();
    await using _ = await open();
    expect(process.umask()).toBe(before);
  });

  it("refuses to start beside a living plugin, which goes on", async () => {
    await using _ = await open();
    expect(await reasonOf(open("two"))).toContain("in-use: Cannot listen at");
    expect(await greeting()).toBe("one");
  });

  it("replaces what a killed plugin left by a rename that a watcher sees as one event", async () => {
    await leaveStale();
    const stop = new AbortController();
    const events = watch(directory, { signal: stop.signal });
    const seen = (async () => {
      const names: string[] = [];
      for await (const { filename } of events) {
        if (filename === "end") break;
        if (filename !== null && !filename.startsWith(".")) names.push(filename);
      }
      return names;
    })();
    await using _ = await open();
    await writeFile(path.join(directory, "end"), "");
    // Once, as moved to: a watcher that saw it removed would take the driver off its list.
    expect(await seen).toEqual(["csi.sock"]);
    stop.abort();
    expect(await greeting()).toBe("one");
  });

  it("takes over from a start that died before the rename", async () => {
    await leaveStale();
    await rename(at, path.join(directory, ".csi.sock.new"));
    await using _ = await open();
    expect(await readdir(directory)).toEqual(["csi.sock"]);
    expect(await greeting()).toBe("one");
  });

  it.each(["file", "directory", "symlink"])("refuses a %s in its place and leaves it", async (kind) => {
    if (kind === "file") await writeFile(at, "precious");
    if (kind === "directory") await mkdir(at);
    if (kind === "symlink") {
      await writeFile(path.join(directory, "real"), "precious");
      await symlink("real", at);
    }
    expect(await reasonOf(open())).toContain("is not a socket; move it away");
    if (kind !== "directory") expect(await readFile(at, "utf8")).toBe("precious");
  });

  it("names the directory that is missing", async () => {
    at = path.join(directory, "missing", "csi.sock");
    expect(await reasonOf(open())).toMatch(/^not-found: Cannot listen in ".*missing"/);
  });

  it("listens at the longest path that clients can connect to", async () => {
    const long = path.join(directory, "x".repeat(107 - directory.length - "//csi.sock".length));
    await mkdir(long);
    at = path.join(long, "csi.sock");
    expect(Buffer.byteLength(at)).toBe(107);
    await using _ = await open();
    expect(await greeting()).toBe("one");
  });

  it("never removes the socket of a successor", async () => {
    const one = await open("one");
    await rm(at);
    expect(await one.isInPlace()).toBe(false);
    await using two = await open("two");
    await one[Symbol.asyncDispose]();
    expect(await two.isInPlace()).toBe(true);
    expect(await greeting()).toBe("two");
  });

  it("ends quietly when its directory has gone", async () => {
    const socket = await open();
    await rm(directory, { recursive: true });
    expect(await socket.isInPlace()).toBe(false);
    await socket[Symbol.asyncDispose]();
    await mkdir(directory);
  });

  it("is safe to dispose of twice", async () => {
    const socket = await open();
    await socket[Symbol.asyncDispose]();
    await socket[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual([]);
  });
});
