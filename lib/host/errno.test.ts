import { describe, expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { failureOf, threadFailure } from "./errno.ts";

const errno = (code: string) => Object.assign(new Error(`${code}: open`), { code });

describe("failureOf()", () => {
  it.each([
    ["ENOENT", "not-found"],
    ["EEXIST", "conflict"],
    ["ENOTEMPTY", "conflict"],
    ["ENOTDIR", "conflict"],
    ["EISDIR", "conflict"],
    ["ELOOP", "conflict"],
    ["ENAMETOOLONG", "invalid"],
    ["EBUSY", "in-use"],
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EFBIG", "full"],
    ["EMFILE", "unavailable"],
    ["ENFILE", "unavailable"],
    ["ENOMEM", "unavailable"],
    ["EAGAIN", "unavailable"],
    ["EIO", "unavailable"],
    ["EUCLEAN", "unavailable"],
    ["Unknown system error -117", "unavailable"],
    ["E117", "unavailable"],
    ["Unknown system error -116", "unavailable"],
    ["ENXIO", "unavailable"],
    ["EROFS", "unavailable"],
    ["EACCES", "unavailable"],
    ["EPERM", "unavailable"],
  ])("tells %s as %s, in words, with its cause", (code, reason) => {
    const error = errno(code);
    const failure = failureOf(error, 'Cannot read "/x"', "the kernel's words");
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({ reason, cause: error });
    expect(String(failure)).toMatch(/Cannot read "\/x": [a-z].+ \(the kernel's words\)$/);
  });

  it("leaves what is no such error as it was", () => {
    const bug = new TypeError("undefined is not a function");
    const known = new Failure("full", "Cannot");
    expect(failureOf(bug, "Cannot")).toBe(bug);
    expect(failureOf(known, "Cannot")).toBe(known);
    expect(failureOf("text", "Cannot")).toBe("text");
    expect(failureOf(errno("toString"), "Cannot")).toMatchObject({ code: "toString" });
  });
});

describe("threadFailure()", () => {
  it.each([
    ["one that found no descriptors", "Worker initialization failure: EMFILE", "no file descriptors left"],
    ["one that found no memory", "Worker initialization failure: ENOMEM", "no memory left"],
    ["one that the system has no room for", "EAGAIN", "may have no more threads"],
    ["one that ended otherwise", "Worker terminated due to reaching memory limit", "the next attempt"],
  ])("tells of %s that it is tried again, and why", (_, message, words) => {
    const cause = Object.assign(new Error(message), { code: "ERR_WORKER_INIT_FAILED" });
    const failure = threadFailure(cause, "Cannot write");
    expect(failure).toMatchObject({ reason: "unavailable", cause });
    expect(failure.message).toMatch(new RegExp(`^Cannot write: .*${words}`));
  });

  it("takes what a thread threw, and nothing at all", () => {
    expect(threadFailure(errno("EMFILE"), "Cannot").message).toContain("no file descriptors left");
    expect(threadFailure(undefined, "Cannot").message).toContain("ended");
  });
});
