import { expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { toEntryFailure, toJobFailure } from "./errno.ts";

const errno = (code: string) => Object.assign(new Error(`${code}: write`), { code });

it.each(["EIO", "E117", "Unknown system error -117", "ENXIO"])(
  "toEntryFailure() and toJobFailure() take %s for a disk that fails",
  (code) => {
    for (const failure of [toEntryFailure(errno(code), "a"), toJobFailure(errno(code))])
      expect(isFailure(failure, "unavailable") && failure.message).toContain("the node's disk fails");
  },
);

it("toJobFailure() leaves what is said of entries alone", () => {
  const error = errno("ENAMETOOLONG");
  expect(toJobFailure(error)).toBe(error);
});
