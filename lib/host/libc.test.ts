import { describe, expect, it } from "vitest";
import { makeCall } from "./libc.ts";

const EAGAIN = 11;
const ENODATA = 61;

/** A call that fails, whose errno is each of these in turn. */
function failing(...errnos: readonly number[]) {
  const left = [...errnos];
  let calls = 0;
  const call = () => {
    calls++;
    return -1;
  };
  return { call, readErrno: () => left.shift() ?? 0, calls: () => calls };
}

describe("makeCall()", () => {
  it("makes a call again whose errno is that of a wait for a lock, and tells its own", () => {
    const { call, readErrno, calls } = failing(EAGAIN, EAGAIN, ENODATA);
    expect(makeCall(call, readErrno, 4)).toEqual({ result: -1, errno: ENODATA });
    expect(calls()).toBe(3);
  });

  it("takes such an errno for the call's where it comes each time", () => {
    const { call, readErrno, calls } = failing(EAGAIN, EAGAIN, EAGAIN, EAGAIN, ENODATA);
    expect(makeCall(call, readErrno, 4)).toEqual({ result: -1, errno: EAGAIN });
    expect(calls()).toBe(4);
  });

  it("makes no call again that tells of a failure once", () => {
    const { call, readErrno, calls } = failing(EAGAIN, ENODATA);
    expect(makeCall(call, readErrno, 1)).toEqual({ result: -1, errno: EAGAIN });
    expect(calls()).toBe(1);
  });

  it("makes a call once that succeeds or fails for a reason of its own", () => {
    expect(
      makeCall(
        () => 5n,
        () => EAGAIN,
        4,
      ),
    ).toEqual({ result: 5n, errno: 0 });
    const { call, readErrno, calls } = failing(ENODATA, EAGAIN);
    expect(makeCall(call, readErrno, 4)).toEqual({ result: -1, errno: ENODATA });
    expect(calls()).toBe(1);
  });
});
