import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Promised } from "../core/capacity.ts";
import { digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { Budget, type Marks } from "./budget.ts";
import { contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import { addFiles, addImage, addRepository, type Repository } from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";
import type { TreeRequest } from "./tree-request.ts";
import type { Trees } from "./trees.ts";

const MiB = 2 ** 20;
const failing = (reason: Parameters<typeof isFailure>[1]) =>
  expect.toSatisfy((error: unknown) => isFailure(error, reason));

type HeldRoom = { used: number; free?: number; promised?: Promised };

function budgetOf(held: HeldRoom, collect = (_target: number) => {}, marks?: Marks) {
  return new Budget({
    promised: () => Promise.resolve(held.promised ?? { unusedBytes: 0, heldBytes: 0 }),
    marks: marks ?? { high: { kind: "bytes", bytes: 100 }, low: { kind: "percent", percent: 50 } },
    usedBytes: () => held.used,
    room: () =>
      Promise.resolve({
        bytesTotal: 120,
        bytesFree: held.free ?? 1000,
        inodesTotal: 1,
        inodesFree: 1,
        type: 0,
      }),
    collect: (target) => Promise.resolve(collect(target)),
  });
}

describe("Budget.reserve()", () => {
  it("collects down to the low mark with what is wanted in it", async () => {
    const held = { used: 90 };
    const targets: number[] = [];
    const budget = budgetOf(held, (target) => {
      targets.push(target);
      held.used = target;
    });
    using _reservation = await budget.reserve(20, "it");
    expect(targets).toEqual([40]);
    expect(budget.reservedBytes).toBe(20);
  });

  it("ends full, naming the sizes, when nothing more can go, and gives back what it reserved", async () => {
    const budget = budgetOf({ used: 90 });
    await expect(budget.reserve(20, "the model")).rejects.toThrow(
      /the model.*20 B.*90 B.*100 B.*store\.high/,
    );
    expect(budget.reservedBytes).toBe(0);
  });

  it("counts what others reserved, so that of two only one gets the last room", async () => {
    const budget = budgetOf({ used: 50 });
    const results = await Promise.allSettled([budget.reserve(40, "one"), budget.reserve(40, "two")]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(budget.reservedBytes).toBe(40);
  });

  it("gives no more than the disk has free", async () => {
    await expect(budgetOf({ used: 0, free: 10 }).reserve(20, "it")).rejects.toEqual(failing("full"));
  });

  it("gives nothing of what is promised to claims, and says how much that is", async () => {
    const held: HeldRoom = { used: 0, free: 50, promised: { unusedBytes: 40, heldBytes: 40 } };
    const budget = budgetOf(held);
    using reservation = await budget.reserve(10, "it");
    await expect(reservation.grow(1)).rejects.toThrow(
      /10 B are free on the disk besides 40 B that are promised to claims.*claims\.overcommit/,
    );
    expect(budget.incomingBytes).toBe(10);
    held.promised = { unusedBytes: 39, heldBytes: 40 };
    await reservation.grow(1);
    reservation.follow(() => 5);
    expect(budget.incomingBytes).toBe(6);
  });

  it("collects where free room falls under what is promised to claims, as much as that lacks", async () => {
    const held: HeldRoom = { used: 30, free: 50, promised: { unusedBytes: 50, heldBytes: 50 } };
    const targets: number[] = [];
    const budget = budgetOf(held, (target) => targets.push(target));
    await budget.keep();
    expect(targets).toEqual([]);
    held.promised = { unusedBytes: 57, heldBytes: 57 };
    await budget.keep();
    expect(targets).toEqual([23]);
  });

  it("takes shares of what the claims' promises leave", async () => {
    const held: HeldRoom = { used: 50, promised: { unusedBytes: 0, heldBytes: 40 } };
    const targets: number[] = [];
    const marks = {
      high: { kind: "percent", percent: 75 },
      low: { kind: "percent", percent: 50 },
    } as const;
    const budget = budgetOf(held, (target) => void targets.push((held.used = target)), marks);
    await budget.ensure(10, "it");
    expect(targets).toEqual([]);
    await budget.ensure(11, "it");
    expect(targets).toEqual([29]);
  });

  it("does not count twice what is reserved and on the disk already", async () => {
    const held = { used: 0, free: 60 };
    const targets: number[] = [];
    const budget = budgetOf(held, (target) => targets.push(target));
    const first = await budget.reserve(40, "it");
    first.follow(() => 40);
    held.free = 20;
    await first.grow(10);
    held.free = 10;
    await first.grow(4);
    using _other = await budget.reserve(6, "other");
    expect(targets).toEqual([]);
    await expect(budget.reserve(1, "third")).rejects.toEqual(failing("full"));
    first[Symbol.dispose]();
    await expect(budget.reserve(5, "third")).rejects.toEqual(failing("full"));
  });

  it("grows, and gives all back when disposed of, once", async () => {
    const budget = budgetOf({ used: 0 });
    const reservation = await budget.reserve(20, "it");
    await reservation.grow(30);
    await expect(reservation.grow(60)).rejects.toEqual(failing("full"));
    expect(budget.reservedBytes).toBe(50);
    reservation[Symbol.dispose]();
    reservation[Symbol.dispose]();
    expect(budget.reservedBytes).toBe(0);
  });
});

describe("a bounded store", () => {
  let kit: Kit;
  let repository: Repository;
  const file = (name: string, size = MiB) =>
    addFiles(repository, { [name]: name.repeat(size / name.length) });

  beforeEach(async () => {
    kit = await Kit.open();
    repository = addRepository(kit.registry.addHost("r.example"), "a");
    kit.settings = {
      ...kit.settings,
      marks: { high: { kind: "bytes", bytes: 5 * MiB }, low: { kind: "bytes", bytes: 3 * MiB } },
    };
  });

  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
  });

  it("collects the longest unused, never what a Lease or a Record holds", async () => {
    const trees = await kit.start();
    const request = (name: string) => requestFor(`r.example/a@${file(name)}`);
    using leased = await trees.lease(request("a"), never);
    const recorded = await trees.lease(request("b"), never);
    trees.hold("volume-1", [recorded.key]);
    recorded[Symbol.dispose]();
    for (const name of ["c", "d"]) {
      kit.nowMs += 1000;
      (await trees.lease(request(name), never))[Symbol.dispose]();
    }
    kit.nowMs += 1000;
    (await trees.lease(request("c"), never))[Symbol.dispose]();
    (await trees.lease(request("e"), never))[Symbol.dispose]();
    (await trees.lease(request("f"), never))[Symbol.dispose]();
    const hits = await Promise.all(
      ["a", "b", "d"].map(async (name) => {
        using lease = await trees.lease(request(name), never);
        return lease.hit;
      }),
    );
    expect(hits).toEqual([true, true, false]);
    expect(leased.layers).toHaveLength(1);
    expect(trees.figures().usedBytes).toBeLessThanOrEqual(5 * MiB);
    expect(kit.metrics.counted.some(({ what }) => what === "collection")).toBe(true);
    expect(await kit.list("trash")).toEqual([]);
  });

  it("ends full when everything is held, and works again once something is let go", async () => {
    const trees = await kit.start();
    const leases = [];
    for (const name of ["a", "b", "c", "d"])
      leases.push(await trees.lease(requestFor(`r.example/a@${file(name)}`), never));
    const request = requestFor(`r.example/a@${file("e", 2 * MiB)}`);
    await expect(trees.lease(request, never)).rejects.toThrow(/2 MiB are needed.*of at most 5 MiB/);
    for (const lease of leases) lease[Symbol.dispose]();
    using leased = await trees.lease(request, never);
    expect(leased.hit).toBe(false);
  });

  it("refuses what could never fit before it asks for a byte", async () => {
    const trees = await kit.start();
    await expect(trees.lease(requestFor(`r.example/a@${file("big", 6 * MiB)}`), never)).rejects.toEqual(
      failing("full"),
    );
    expect(kit.registry.count("blob")).toBe(0);
  });

  it("ends a bomb full, and leaves nothing of it", async () => {
    const trees = await kit.start();
    const digest = addImage(repository, [twinLayer({ files: { f: "f" } })]);
    kit.unpacker.extraBytes = 100 * MiB;
    await expect(trees.lease(requestFor(`r.example/a@${digest}`), never)).rejects.toEqual(failing("full"));
    for (const directory of ["ingest", "partials", "layers", "trees"])
      expect(await kit.list(directory)).toEqual([]);
    expect(trees.figures()).toMatchObject({ usedBytes: 0, reservedBytes: 0 });
    kit.unpacker.extraBytes = 0;
    using leased = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(leased.layers).toHaveLength(1);
  });

  it("counts what two Trees share once, and keeps it while one of them is there", async () => {
    const trees = await kit.start();
    const shared = "s".repeat(2 * MiB);
    using kept = await trees.lease(requestFor(`r.example/a@${addFiles(repository, { one: shared })}`), never);
    (await trees.lease(requestFor(`r.example/a@${addFiles(repository, { two: shared })}`), never))[
      Symbol.dispose
    ]();
    expect(trees.figures().usedBytes).toBeLessThan(3 * MiB);
    (await trees.lease(requestFor(`r.example/a@${file("x", 2 * MiB)}`), never))[Symbol.dispose]();
    expect(trees.figures().trees).toBe(3);
    expect(kept.layers).toHaveLength(1);
  });

  it("counts resting partials, and expires them after a day, also when the clock jumps", async () => {
    kit.settings = {
      ...kit.settings,
      marks: { high: { kind: "bytes", bytes: 50 * MiB }, low: { kind: "bytes", bytes: 30 * MiB } },
    };
    const digest = file("p", 12 * MiB);
    for (const jumpMs of [24 * 3600_000, -24 * 3600_000]) {
      const trees = await kit.start();
      kit.registry.gate = async (_digest, offset) => {
        if (offset > 9 * MiB) throw Object.assign(new Error("cut"), { code: "EIO" });
      };
      await expect(trees.lease(requestFor(`r.example/a@${digest}`), never)).rejects.toEqual(
        failing("unavailable"),
      );
      expect(trees.figures()).toMatchObject({ partials: 1, usedBytes: 8 * MiB });
      kit.nowMs += jumpMs;
      await trees.tend();
      expect(trees.figures()).toMatchObject({ partials: 0, usedBytes: 0 });
    }
  });
});

describe("a partial where room is needed", () => {
  let kit: Kit;
  let repository: Repository;
  let trees: Trees;
  const bytesOf = (name: string, size: number) => name.repeat(size / name.length);
  const request = (name: string, size: number) =>
    requestFor(`r.example/a@${addFiles(repository, { [name]: bytesOf(name, size) })}`);
  const sentOf = (name: string, size: number) => kit.registry.sentBytes.get(digestOf(bytesOf(name, size)));
  const isHere = async (wanted: TreeRequest) => {
    using lease = await trees.lease({ ...wanted, pullPolicy: "Never" }, never);
    return lease.hit;
  };

  beforeEach(async () => {
    kit = await Kit.open();
    repository = addRepository(kit.registry.addHost("r.example"), "a");
    kit.settings = {
      ...kit.settings,
      marks: { high: { kind: "bytes", bytes: 22 * MiB }, low: { kind: "bytes", bytes: 20 * MiB } },
    };
    trees = await kit.start();
  });

  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
  });

  /** A flight of 12 MiB that ended after 9 of them: 8 MiB rest. */
  async function rest(): Promise<TreeRequest> {
    const wanted = request("p", 12 * MiB);
    kit.registry.gate = async (_digest, offset) => {
      if (offset >= 9 * MiB) throw new Failure("unavailable", "cut");
    };
    await expect(trees.lease(wanted, never)).rejects.toEqual(failing("unavailable"));
    kit.registry.gate = () => Promise.resolve();
    expect(trees.figures()).toMatchObject({ partials: 1, reservedBytes: 0 });
    return wanted;
  }

  /** The flight of 12 MiB, held in the air after 9 of them; the others go on. */
  async function fly(wanted: TreeRequest) {
    const held = Promise.withResolvers<void>();
    const own = digestOf(bytesOf("p", 12 * MiB));
    const reached = Promise.withResolvers<void>();
    kit.registry.gate = async (digest, offset) => {
      if (digest !== own || offset < 9 * MiB) return;
      reached.resolve();
      await held.promise;
    };
    const leased = trees.lease(wanted, never);
    await Promise.race([reached.promise, leased]);
    return { land: () => (held.resolve(), leased) };
  }

  it("of a flight that has ended goes before any Layer or Tree, however long those are unused", async () => {
    const [old, other] = [request("a", 4 * MiB), request("b", 4 * MiB)];
    for (const wanted of [old, other]) (await trees.lease(wanted, never))[Symbol.dispose]();
    kit.nowMs += 1000;
    const cut = await rest();
    expect(trees.figures().usedBytes).toBeGreaterThanOrEqual(16 * MiB);
    (await trees.lease(request("c", 6 * MiB), never))[Symbol.dispose]();
    expect(trees.figures()).toMatchObject({ partials: 0, trees: 3, layers: 3 });
    for (const wanted of [old, other]) expect(await isHere(wanted)).toBe(true);
    for (const directory of ["partials", "trash"]) expect(await kit.list(directory)).toEqual([]);
    // What went is brought again from its first byte; now a Tree has to go for it.
    kit.registry.sentBytes.clear();
    (await trees.lease(cut, never))[Symbol.dispose]();
    expect(sentOf("p", 12 * MiB)).toBe(12 * MiB);
    expect(trees.figures().usedBytes).toBeLessThanOrEqual(22 * MiB);
  });

  it("of a flight in the air never goes: what wants its room is refused, and it lands whole", async () => {
    const old = request("a", 2 * MiB);
    (await trees.lease(old, never))[Symbol.dispose]();
    const flight = await fly(request("p", 12 * MiB));
    const refused = trees.lease(request("c", 12 * MiB), never);
    await expect(refused).rejects.toEqual(failing("full"));
    expect(await kit.list("partials")).toHaveLength(1);
    // All else that could go has gone for it.
    expect(trees.figures()).toMatchObject({ trees: 0, layers: 0, reservedBytes: 12 * MiB });
    using landed = await flight.land();
    expect(await contentOf(landed)).toEqual({ p: bytesOf("p", 12 * MiB) });
    expect(sentOf("p", 12 * MiB)).toBe(12 * MiB);
  });

  it("that a second flight has taken up never goes either, and is counted once", async () => {
    const flight = await fly(await rest());
    expect(trees.figures()).toMatchObject({ partials: 0, usedBytes: 0, reservedBytes: 12 * MiB });
    await expect(trees.lease(request("c", 12 * MiB), never)).rejects.toEqual(failing("full"));
    using landed = await flight.land();
    expect(await contentOf(landed)).toEqual({ p: bytesOf("p", 12 * MiB) });
    // The last MiB before the cut was of no whole chunk.
    expect(sentOf("p", 12 * MiB)).toBe(13 * MiB);
    expect(await kit.list("partials")).toEqual([]);
  });

  it("of the pull that wants the room never goes for it: a Tree does, and only what is missing is sent", async () => {
    const cut = await rest();
    const other = request("a", 13 * MiB);
    (await trees.lease(other, never))[Symbol.dispose]();
    expect(trees.figures()).toMatchObject({ partials: 1, trees: 1 });
    using landed = await trees.lease(cut, never);
    expect(await contentOf(landed)).toEqual({ p: bytesOf("p", 12 * MiB) });
    expect(sentOf("p", 12 * MiB)).toBe(13 * MiB);
    expect(trees.figures()).toMatchObject({ partials: 0, trees: 1, reservedBytes: 0 });
    for (const directory of ["partials", "trash"]) expect(await kit.list(directory)).toEqual([]);
  });

  it("of the pull that wants the room leaves the Trees where its rest fits beside them", async () => {
    const cut = await rest();
    const other = request("a", 9 * MiB);
    (await trees.lease(other, never))[Symbol.dispose]();
    (await trees.lease(cut, never))[Symbol.dispose]();
    expect(sentOf("p", 12 * MiB)).toBe(13 * MiB);
    expect(await isHere(other)).toBe(true);
  });

  it("of the pull that wants the room fits on a disk that has room for its rest alone", async () => {
    const cut = await rest();
    kit.room = { ...kit.room, bytesFree: 4 * MiB };
    (await trees.lease(cut, never))[Symbol.dispose]();
    expect(sentOf("p", 12 * MiB)).toBe(13 * MiB);
  });

  it("of a pull that waits for its turn stays, whoever makes room", async () => {
    kit.settings = { ...kit.settings, concurrency: 1 };
    trees = await kit.start();
    await rest();
    const files = { q: bytesOf("q", 4 * MiB), p: bytesOf("p", 12 * MiB) };
    const [held, reached] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    kit.registry.gate = async (digest) => {
      if (digest !== digestOf(files.q)) return;
      reached.resolve();
      await held.promise;
    };
    const leased = trees.lease(requestFor(`r.example/a@${addFiles(repository, files)}`), never);
    await reached.promise;
    await trees.collect(0);
    const figures = trees.figures();
    held.resolve();
    expect(figures).toMatchObject({ partials: 1, reservedBytes: 4 * MiB });
    using landed = await leased;
    expect(await contentOf(landed)).toEqual(files);
    expect(sentOf("p", 12 * MiB)).toBe(13 * MiB);
  });

  it("whose rest has no room in the end stays as it was, for the next to go on with or to take", async () => {
    const cut = await rest();
    using _held = await trees.lease(request("a", 13 * MiB), never);
    await expect(trees.lease(cut, never)).rejects.toEqual(failing("full"));
    expect(trees.figures()).toMatchObject({ partials: 1, reservedBytes: 0 });
    expect(trees.figures().usedBytes).toBeGreaterThan(21 * MiB);
    (await trees.lease(request("c", 6 * MiB), never))[Symbol.dispose]();
    expect(trees.figures()).toMatchObject({ partials: 0, trees: 2 });
  });

  it("that is on its way out is not taken up: who wants it then begins anew, and has it whole", async () => {
    const cut = await rest();
    const [leaving, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    kit.renaming = async (from) => {
      if (!from.includes("/partials/")) return;
      leaving.resolve();
      await held.promise;
    };
    const collected = trees.collect(8 * MiB);
    await leaving.promise;
    const flight = await fly(cut);
    held.resolve();
    await collected;
    using landed = await flight.land();
    expect(await contentOf(landed)).toEqual({ p: bytesOf("p", 12 * MiB) });
    expect(sentOf("p", 12 * MiB)).toBe(9 * MiB + 12 * MiB);
    for (const directory of ["partials", "trash"]) expect(await kit.list(directory)).toEqual([]);
  });
});
