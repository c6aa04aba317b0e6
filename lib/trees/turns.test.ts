import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import { addFiles, addRepository, type Repository } from "./testing/registry-twin.ts";
import type { Trees } from "./trees.ts";
import { Turns } from "./turns.ts";

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe("Turns.take()", () => {
  /** Those that have had their turn, in order; each keeps it until it is ended. */
  function line(turns: Turns, names: readonly string[]) {
    const begun: string[] = [];
    const turnOf = new Map<string, Disposable>();
    for (const name of names)
      void turns.take().then((turn) => {
        begun.push(name);
        turnOf.set(name, turn);
      });
    return { begun, end: (name: string) => turnOf.get(name)?.[Symbol.dispose]() };
  }
  const settled = () => new Promise(setImmediate);

  it("gives so many turns at a time and no more, first come, first served", async () => {
    const { begun, end } = line(new Turns(2), ["a", "b", "c", "d", "e"]);
    await settled();
    expect(begun).toEqual(["a", "b"]);
    end("b");
    await settled();
    expect(begun).toEqual(["a", "b", "c"]);
    end("a");
    end("c");
    await settled();
    expect(begun).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("takes one turn back however often it is given back", async () => {
    const { begun, end } = line(new Turns(1), ["a", "b", "c"]);
    await settled();
    end("a");
    end("a");
    await settled();
    end("a");
    await settled();
    expect(begun).toEqual(["a", "b"]);
  });

  it("has the turn of one that failed go to the next", async () => {
    const turns = new Turns(1);
    const failing = async () => {
      using _turn = await turns.take();
      throw new Error("failed");
    };
    const [failed, next] = await Promise.allSettled([failing(), turns.take()]);
    expect([failed.status, next.status]).toEqual(["rejected", "fulfilled"]);
  });

  it("gives one at a time where fewer are asked for", async () => {
    const { begun, end } = line(new Turns(0), ["a", "b"]);
    await settled();
    expect(begun).toEqual(["a"]);
    end("a");
    await settled();
    expect(begun).toEqual(["a", "b"]);
  });
});

describe("pull.concurrency", () => {
  let kit: Kit;
  let repository: Repository;
  let trees: Trees;
  /** By content: sent once it is ended, refused if it is ended with a failure. */
  const held = new Map<Digest, PromiseWithResolvers<void>>();
  const holdOf = (digest: Digest) => held.getOrInsertComputed(digest, () => Promise.withResolvers<void>());
  let ended = 0;
  const end = (content: string, failure?: Failure) => {
    ended++;
    const { promise, resolve, reject } = holdOf(digestOf(content));
    if (failure === undefined) resolve();
    else reject(failure);
    // Nobody may wait for it.
    promise.catch(() => {});
  };

  /** The contents that were asked for, in order. */
  const asked = () => {
    const contents = ["1", "2", "3", "4", "5", "6"];
    const nameOf = new Map(contents.map((content) => [digestOf(content), content]));
    const blobs = kit.registry.requests.filter((request) => request.startsWith("blob "));
    return blobs.map((request) => nameOf.get(request.split(" ")[2] as Digest) ?? request);
  };

  beforeEach(async () => {
    held.clear();
    ended = 0;
    kit = await Kit.open();
    kit.settings = { ...kit.settings, concurrency: 2 };
    repository = addRepository(kit.registry.addHost("r.example"), "a");
    kit.registry.gate = (digest) => holdOf(digest).promise;
    trees = await kit.start();
  });

  afterEach(async () => {
    for (const content of ["1", "2", "3", "4", "5", "6"]) end(content);
    await kit[Symbol.asyncDispose]();
  });

  const request = (files: Readonly<Record<string, string>>) =>
    requestFor(`r.example/a@${addFiles(repository, files)}`);

  it("is how many blobs come at once, whatever artifacts they are of, first come, first served", async () => {
    const one = trees.lease(request({ a: "1", b: "2", c: "3" }), never);
    await until(() => asked().length >= 2);
    const other = trees.lease(request({ d: "4", e: "5", f: "6" }), never);
    let most = 0;
    for (const [index, content] of ["1", "2", "3", "4", "5", "6"].entries()) {
      await until(() => asked().length >= Math.min(6, index + 2));
      most = Math.max(most, asked().length - ended);
      end(content);
    }
    const leases = [await one, await other];
    expect(most).toBe(2);
    // The first two have no order among each other.
    expect(new Set(asked().slice(0, 2))).toEqual(new Set(["1", "2"]));
    expect(asked().slice(2)).toEqual(["3", "4", "5", "6"]);
    const contents = await Promise.all(leases.map(contentOf));
    expect(contents).toEqual([
      { a: "1", b: "2", c: "3" },
      { d: "4", e: "5", f: "6" },
    ]);
    for (const lease of leases) lease[Symbol.dispose]();
  });

  it("is not used up by what fails: what waits in line comes", async () => {
    const one = trees.lease(request({ a: "1", b: "2", c: "3" }), never);
    await until(() => asked().length === 2);
    for (const content of ["1", "2", "3"]) end(content, new Failure("unavailable", "cut"));
    await expect(one).rejects.toSatisfy((error) => isFailure(error, "unavailable"));
    end("4");
    using other = await trees.lease(request({ d: "4" }), never);
    expect(await contentOf(other)).toEqual({ d: "4" });
  });

  it("leaves no hole where one who waits in line goes away: his blob comes in its turn", async () => {
    const one = trees.lease(request({ a: "1", b: "2" }), never);
    await until(() => asked().length === 2);
    const caller = new AbortController();
    const wanted = request({ c: "3" });
    const left = trees.lease(wanted, { signal: caller.signal });
    await until(() => kit.steps.filter((step) => step === "room found").length === 2);
    caller.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    const last = trees.lease(request({ d: "4" }), never);
    await until(() => kit.steps.filter((step) => step === "room found").length === 3);
    for (const content of ["1", "2", "3", "4"]) end(content);
    for (const lease of [await one, await last]) lease[Symbol.dispose]();
    using back = await trees.lease(wanted, never);
    expect(await contentOf(back)).toEqual({ c: "3" });
    expect(new Set(asked())).toEqual(new Set(["1", "2", "3", "4"]));
    expect(asked()).toHaveLength(4);
  });

  it("has who waits in line at a stop told so, and nothing asked for", async () => {
    const waiting = trees.lease(request({ a: "1", b: "2", c: "3", d: "4" }), never);
    const told = expect(waiting).rejects.toThrow("The plugin is stopping");
    await until(() => asked().length === 2);
    const stopped = trees[Symbol.asyncDispose]();
    for (const content of ["1", "2", "3", "4"]) end(content);
    await Promise.all([told, stopped]);
    expect(new Set(asked())).toEqual(new Set(["1", "2"]));
    expect(asked()).toHaveLength(2);
    expect(trees.figures()).toMatchObject({ reservedBytes: 0, trees: 0 });
  });
});
