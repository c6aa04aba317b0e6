import { expect, it } from "vitest";
import type { Observe } from "./observe.ts";
import { Troubles } from "./troubles.ts";

const at = { host: "r.example", repository: "a/b" };
const retry = { host: "r.example", reason: "unavailable", attempt: 1, waitMs: 5 } as const;
const source = { kind: "upstream", host: "r.example" } as const;

it("Troubles tell what a request met last, until bytes come or it is done, and of that repository alone", () => {
  const troubles = new Troubles();
  const observed: unknown[] = [];
  const observe: Observe = {
    bytes: (_, bytes) => observed.push(bytes),
    retry: ({ why }) => observed.push(why),
    deadMirror: (host) => observed.push(host),
  };
  const following = troubles.follow(at, observe);
  const met = (why: string) => following.retry({ ...retry, why });
  expect(troubles.of(at)).toBeUndefined();
  met("it answered 503");
  met("it broke off");
  expect(troubles.of(at)).toBe("it broke off");
  expect(troubles.of({ ...at, repository: "a/c" })).toBeUndefined();
  expect(troubles.of({ ...at, plainHttp: true })).toBeUndefined();
  following.bytes(source, 7);
  expect(troubles.of(at)).toBeUndefined();
  following.deadMirror("m.example", "gone");
  met("it broke off again");
  following[Symbol.dispose]();
  expect(troubles.of(at)).toBeUndefined();
  expect(observed).toEqual(["it answered 503", "it broke off", 7, "m.example", "it broke off again"]);
});
