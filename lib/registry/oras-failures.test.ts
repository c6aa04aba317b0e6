import { describe, expect, it } from "vitest";
import type { Reason } from "../core/failure.ts";
import { orasFailure } from "./oras-failures.ts";
import recordings from "./testing/oras-failures.json" with { type: "json" };

const trial = { action: "pull registry.example/a/b:v1", origins: [undefined], secrets: [] };

/** What each recording means; the first that fits its name counts. */
const meanings: ReadonlyArray<readonly [name: RegExp, reason: Reason, words: RegExp]> = [
  [/quota/, "full", /quota/],
  [/immutable|409|412/, "conflict", /another tag/],
  [/leads out/, "invalid", /leads out/],
  [/no such platform/, "not-found", /platform/],
  [
    /no such host|refused|hangs|no TLS|authority|certificate|is cut/,
    "unavailable",
    /check|trusted|plainHttp|cut/,
  ],
  [/not a layout/, "not-found", /no OCI layout/],
  [/no such file/, "invalid", /not there/],
  [/discover, not JSON/, "unavailable", /header/],
  [/no such|404/, "not-found", /does not have it/],
  [/credentials|password|401|403|locked|bearer$/, "denied", /credentials/],
  [/429/, "unavailable", /too many requests/],
  [/5\d\d/, "unavailable", /failed/],
  [/405/, "unsupported", /allow/],
  [/413/, "out-of-range", /size/],
  [/huge|5 MiB/, "out-of-range", /4 MiB/],
  [/malformed|no tag/, "invalid", /malformed; write host/],
  [/a blob is missing/, "not-found", /lacks a blob/],
  [/full disk/, "full", /disk is full/],
  [/another digest|wrong bytes/, "corrupt", /digest/],
  [/not JSON|no schema|no-type|no media type/, "invalid", /malformed/],
  [/another size/, "invalid", /size/],
  [/there already/, "conflict", /already/],
  [/one title/, "invalid", /same title/],
  [/outside/, "invalid", /absolute/],
  [/should be/, "invalid", /not there/],
  [/400/, "invalid", /refused/],
];

describe("orasFailure()", () => {
  const failed = recordings.filter(({ exitCode }) => exitCode !== 0);

  it.each(failed.map(({ name, stderr }) => [name, stderr] as const))("knows %s", (name, stderrTail) => {
    const [, reason, words] = meanings.find(([pattern]) => pattern.test(name)) ?? [];
    const failure = orasFailure({ exitCode: 1, signal: undefined, stderrTail }, trial);
    expect(failure.reason).toBe(reason);
    expect(failure.message).toMatch(words ?? "no meaning");
    expect(failure.message).toMatch(/^Cannot pull registry\.example\/a\/b:v1: /);
  });

  it.each<[what: string, recorded: RegExp, reason: Reason]>([
    ["not found", /no such (tag|repository|digest)|404/, "not-found"],
    ["401", /-401|no credentials|wrong password/, "denied"],
    ["403", /-403/, "denied"],
    ["429", /-429/, "unavailable"],
    ["5xx", /-5\d\d/, "unavailable"],
    ["refused", /connection refused/, "unavailable"],
    ["timeout", /hangs/, "unavailable"],
    ["TLS", /authority|expired|another name|no TLS/, "unavailable"],
    ["a bad reference", /malformed reference|malformed tag|no tag$/, "invalid"],
    ["a malformed manifest", /(push|pull), (not JSON|no schema|no media type)/, "invalid"],
  ])("has recordings of what ORAS says of %s, and one Reason for all of them", (_, recorded, reason) => {
    const found = failed.filter(({ name }) => recorded.test(name));
    expect(found.length).toBeGreaterThan(0);
    for (const { name, stderr: stderrTail } of found)
      expect(orasFailure({ exitCode: 1, signal: undefined, stderrTail }, trial).reason, name).toBe(reason);
  });

  it("names where the credentials came from when they are refused", () => {
    const stderrTail = "Error response from registry: unauthorized: authentication required";
    const failure = orasFailure(
      { exitCode: 1, signal: undefined, stderrTail },
      { ...trial, origins: ['pull secret "acme-pull"'] },
    );
    expect(failure.message).toContain('refused it with the pull secret "acme-pull"');
  });

  it("names the credentials of the side that refused, where there are two", () => {
    const saying = (side: string) =>
      orasFailure(
        {
          exitCode: 1,
          signal: undefined,
          stderrTail: `Error from ${side} registry for "registry.example/a:v1": response status code 401: Unauthorized`,
        },
        { ...trial, origins: ['pull secret "from"', 'pull secret "to"'] },
      ).message;
    expect(saying("source")).toContain('pull secret "from"');
    expect(saying("destination")).toContain('pull secret "to"');
  });

  it("keeps secrets and signed queries out of message and cause, even if the registry sends them back", () => {
    const stderrTail = 'Error: odd: hush GET "https://storage.example/x?Signature=abc&hush": bang hush';
    const failure = orasFailure(
      { exitCode: 1, signal: undefined, stderrTail },
      { ...trial, secrets: ["hush", ""] },
    );
    expect(failure.reason).toBe("unavailable");
    expect(failure.message).toContain("https://storage.example/x?…");
    expect(`${failure.message} ${String(failure.cause)}`).not.toMatch(/hush|Signature/);
  });

  it("says which signal ended ORAS", () => {
    const failure = orasFailure({ exitCode: undefined, signal: "SIGKILL", stderrTail: "" }, trial);
    expect(failure).toMatchObject({ reason: "unavailable", message: expect.stringContaining("SIGKILL") });
  });

  it("quotes what it does not know, cut to a line", () => {
    const stderrTail = "Error: the moon is blue\nUsage: oras";
    expect(orasFailure({ exitCode: 1, signal: undefined, stderrTail }, trial).message).toBe(
      'Cannot pull registry.example/a/b:v1: ORAS says "the moon is blue"',
    );
  });
});
