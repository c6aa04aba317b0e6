import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { openMemoryLog } from "./log.fake.ts";
import { openLog } from "./log.ts";

describe("openLog()", () => {
  it("writes a line of JSON with the injected time, the level and the fields", () => {
    const lines: string[] = [];
    const log = openLog({
      level: "info",
      now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      write: (l) => lines.push(l),
    });
    log.with({ volume: "v1" }).info("Mounted", { ms: 3 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      level: "info",
      time: "2026-01-02T03:04:05.006Z",
      volume: "v1",
      ms: 3,
      message: "Mounted",
    });
  });

  it("leaves out what is under its level", () => {
    const lines: string[] = [];
    const log = openLog({ level: "warn", now: () => 0, write: (l) => lines.push(l) });
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    expect(lines.map((l) => JSON.parse(l).message)).toEqual(["c", "d"]);
  });

  it("gives with() fields of its own, the newer ones winning", () => {
    const { log, lines } = openMemoryLog();
    const inner = log.with({ a: 1, b: 1 }).with({ b: 2 });
    inner.info("x", { c: 3 });
    log.info("y");
    expect(lines).toMatchObject([{ a: 1, b: 2, c: 3 }, { message: "y" }]);
    expect(lines[1]).not.toHaveProperty("a");
  });

  it("writes the message even where a field cannot be read", () => {
    const { log, lines } = openMemoryLog();
    const trap = {
      get open(): string {
        throw new Error("closed");
      },
    };
    log.warn("Said all the same", { trap });
    expect(lines).toMatchObject([
      { level: "warn", message: "Said all the same", unloggable: "Error: closed" },
    ]);
  });

  it("keeps one event on one line, whatever the message holds", () => {
    const { log, lines } = openMemoryLog();
    log.info("two\nlines", { name: "a\nb\u2028" });
    expect(lines).toMatchObject([{ message: "two\nlines", name: "a\nb\u2028" }]);
  });
});

describe("standardErrorLines()", () => {
  const say = (
    after: string,
  ) => `import { openLog, standardErrorLines } from ${JSON.stringify(new URL("./log.ts", import.meta.url).href)};
    const log = openLog({ level: "info", now: () => 0, write: standardErrorLines() });
    ${after}`;
  const run = (program: string) =>
    execa(process.execPath, ["--input-type=module", "-e", program], { reject: false });

  it("has written a line before the process dies of SIGKILL right after", async () => {
    const { stderr, signal } = await run(
      say(`log.info("last words"); process.kill(process.pid, "SIGKILL");`),
    );
    expect(signal).toBe("SIGKILL");
    expect(JSON.parse(stderr)).toMatchObject({ message: "last words" });
  });

  it("outlives a reader that went away", async () => {
    const program = say(
      `process.stdin.on("end", () => { log.info("to nobody"); console.log("alive"); }).resume();`,
    );
    const child = run(program);
    child.stderr.destroy();
    child.stdin.end();
    expect((await child).stdout).toBe("alive");
  });
});

describe("redact()", () => {
  const logged = (fields: Record<string, unknown>) => {
    const { log, lines } = openMemoryLog();
    log.info("x", fields);
    return JSON.stringify(lines[0]);
  };

  it.each([
    ["secrets of a request", { request: { secrets: { user: "hunter2" } } }],
    ["a password at any depth", { a: [{ b: { Password: "hunter2" } }] }],
    ["a header", { headers: { Authorization: "hunter2" } }],
    ["a docker config", { ".dockerconfigjson": "hunter2" }],
    ["a map", { headers: new Map([["set-cookie", "hunter2"]]) }],
    ["a bearer token in a text", { text: "sent Authorization: Bearer hunter2hunter2" }],
    ["a basic credential in a text", { text: "Basic aHVudGVyMg==hunter2" }],
    ["the user part of an address", { url: "https://me:hunter2@example.org/v2/" }],
    ["the signature of a storage address", { url: "https://s.example.org/x?X-Amz-Signature=hunter2&y=1" }],
    ["a private key", { pem: "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----" }],
    ["a private key that is cut", { pem: "-----BEGIN PRIVATE KEY-----\nhunter2" }],
    ["a token by its looks", { text: "got eyJhbGciOiJI.eyJodW50ZXIy.hunter2" }],
    ["an error's message", { error: new Error("https://me:hunter2@example.org refused") }],
    ["an error's cause", { error: new Error("x", { cause: new Error("Bearer hunter2hunter2") }) }],
    ["an error's own fields", { error: Object.assign(new Error("x"), { request: "hunter2" }) }],
    ["bytes", { body: Buffer.from("hunter2") }],
  ])("hides %s", (_, fields) => {
    const line = logged(fields);
    expect(line).not.toContain("hunter2");
    expect(line).not.toContain(JSON.stringify([...Buffer.from("hunter2")]).slice(1, -1));
  });

  it("keeps what is said of a Failure: its reason, message, stack and cause", () => {
    const cause = Object.assign(new Error("ENOSPC: write"), { code: "ENOSPC" });
    const line = JSON.parse(logged({ error: new Failure("full", "Cannot write", { cause }) }));
    expect(line.error).toMatchObject({
      reason: "full",
      message: "Cannot write",
      cause: { code: "ENOSPC", message: "ENOSPC: write" },
    });
    expect(line.error.stack).toContain("log.test.ts");
  });

  it("bounds what is endless: long texts, long lists, circles, deep trees", () => {
    const circle: Record<string, unknown> = { text: "x".repeat(10_000_000), list: Array(100_000).fill(1) };
    circle["self"] = circle;
    expect(logged({ circle }).length).toBeLessThan(100_000);
  });

  it("survives what JSON cannot say", () => {
    const line = JSON.parse(
      logged({ big: 2n ** 70n, call: () => 1, nothing: undefined, none: null, nan: Number.NaN }),
    );
    expect(line).toMatchObject({ big: "1180591620717411303424", call: "[function]", none: null });
  });
});
