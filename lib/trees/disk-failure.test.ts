import { expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { toDiskFailure } from "./disk-failure.ts";

const errno = (code: string) => Object.assign(new Error(`${code}: write`), { code });

it.each([
  ["ENOSPC", "full"],
  ["EIO", "unavailable"],
  ["Unknown system error -117", "unavailable"],
  ["ENAMETOOLONG", "invalid"],
])("toDiskFailure() tells %s as %s", (code, reason) => {
  expect(toDiskFailure(errno(code), "r.example/a:b")).toMatchObject({
    reason,
    message: expect.stringMatching(/^Cannot store r\.example\/a:b: /),
  });
});

it("toDiskFailure() leaves what only a bug can meet, and what was told already", () => {
  for (const error of [errno("EEXIST"), errno("EINVAL"), new TypeError("x"), new Failure("denied", "no")])
    expect(toDiskFailure(error, "it")).toBe(error);
});
