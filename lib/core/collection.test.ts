import { describe, expect, it } from "vitest";
import { type Budget, type Held, planCollection } from "./collection.ts";

const layer = (
  id: string,
  bytes: number,
  ...shared: ReadonlyArray<readonly [id: string, bytes: number]>
) => ({
  id,
  bytes,
  shared: shared.map(([id, bytes]) => ({ id, bytes })),
});
const tree = (key: string, lastUsedMs: number, ...layers: readonly string[]) => ({ key, lastUsedMs, layers });
const held = (parts: Partial<Held>): Held => ({ trees: [], layers: [], partials: [], ...parts });
const budget = (highBytes: number, lowBytes: number, more: Partial<Budget> = {}): Budget => ({
  highBytes,
  lowBytes,
  takenBytes: 0,
  wantedBytes: 0,
  ...more,
});
const none: ReadonlySet<string> = new Set();

/** Three Trees of one Layer of 10 bytes each, the oldest first by name. */
const three = held({
  trees: [tree("c", 3, "C"), tree("a", 1, "A"), tree("b", 2, "B")],
  layers: [layer("A", 10), layer("B", 10), layer("C", 10)],
});

describe("planCollection()", () => {
  it("takes nothing while all fits under the high mark", () => {
    expect(planCollection(three, none, budget(30, 0))).toEqual({
      trees: [],
      layers: [],
      partials: [],
      usedBytes: 30,
      leftBytes: 30,
      isEnough: true,
    });
  });

  it("drops the oldest unrooted trees until the low mark", () => {
    expect(planCollection(three, none, budget(29, 10))).toMatchObject({
      trees: ["a", "b"],
      layers: ["A", "B"],
      leftBytes: 10,
      isEnough: true,
    });
    expect(planCollection(three, new Set(["a"]), budget(29, 20))).toMatchObject({
      trees: ["b"],
      layers: ["B"],
    });
  });

  it("makes room for what is wanted beside what is taken", () => {
    expect(planCollection(three, none, budget(40, 35, { wantedBytes: 15 }))).toMatchObject({ trees: ["a"] });
    expect(planCollection(three, none, budget(40, 35, { wantedBytes: 5, takenBytes: 10 }))).toMatchObject({
      trees: ["a"],
      usedBytes: 40,
      leftBytes: 30,
    });
  });

  it("never takes what a root holds, and says that it is not enough", () => {
    const roots = new Set(["a", "B", "c"]);
    expect(planCollection(three, roots, budget(25, 0))).toMatchObject({
      trees: [],
      layers: [],
      leftBytes: 30,
      isEnough: false,
    });
  });

  it("is enough above the low mark, as long as it is under the high one", () => {
    expect(planCollection(three, new Set(["b", "c"]), budget(25, 5))).toMatchObject({
      trees: ["a"],
      isEnough: true,
    });
  });

  it("keeps a Layer as long as a Tree that stays names it", () => {
    const store = held({
      trees: [tree("old", 1, "base", "x"), tree("new", 2, "base", "y")],
      layers: [layer("base", 50), layer("x", 5), layer("y", 5)],
    });
    expect(planCollection(store, new Set(["new"]), budget(59, 0))).toMatchObject({
      trees: ["old"],
      layers: ["x"],
      leftBytes: 55,
      isEnough: true,
    });
    expect(planCollection(store, none, budget(59, 0)).layers.toSorted()).toEqual(["base", "x", "y"]);
  });

  it("does not forget a Tree for nothing", () => {
    const store = held({
      trees: [tree("old", 1, "base"), tree("new", 2, "base", "y")],
      layers: [layer("base", 50), layer("y", 5)],
    });
    expect(planCollection(store, new Set(["new"]), budget(10, 0))).toMatchObject({ trees: [], layers: [] });
  });

  it("counts shared bytes once, and as freed only with the last that has them", () => {
    const store = held({
      trees: [tree("a", 1, "A"), tree("b", 2, "B")],
      layers: [layer("A", 1, ["blob", 100], ["blob", 100]), layer("B", 1, ["blob", 100])],
    });
    expect(planCollection(store, none, budget(102, 0)).usedBytes).toBe(102);
    expect(planCollection(store, none, budget(101, 101))).toMatchObject({ trees: ["a"], leftBytes: 101 });
    expect(planCollection(store, none, budget(101, 100))).toMatchObject({ trees: ["a", "b"], leftBytes: 0 });
  });

  it("takes abandoned downloads first, then Layers that no Tree names", () => {
    const store: Held = {
      ...three,
      layers: [...three.layers, layer("stray", 10), layer("leased", 10)],
      partials: [
        { id: "q", bytes: 10, lastUsedMs: 2 },
        { id: "p", bytes: 10, lastUsedMs: 1 },
      ],
    };
    const roots = new Set(["leased"]);
    expect(planCollection(store, roots, budget(69, 60))).toMatchObject({
      partials: ["p"],
      layers: [],
      trees: [],
    });
    expect(planCollection(store, roots, budget(69, 40))).toMatchObject({
      partials: ["p", "q"],
      layers: ["stray"],
      trees: [],
    });
    expect(planCollection(store, roots, budget(69, 30))).toMatchObject({
      layers: ["stray", "A"],
      trees: ["a"],
    });
  });

  it("decides alike on every run, whatever the order, when times are equal", () => {
    const store = { ...three, trees: three.trees.map((one) => ({ ...one, lastUsedMs: 0 })) };
    const shuffled = { ...store, trees: store.trees.toReversed() };
    expect(planCollection(shuffled, none, budget(29, 20))).toEqual(
      planCollection(store, none, budget(29, 20)),
    );
  });

  it("bears a Tree that names a Layer twice, or one that is not there", () => {
    const store = held({
      trees: [tree("a", 1, "A", "A", "gone"), tree("empty", 0)],
      layers: [layer("A", 10)],
    });
    expect(planCollection(store, none, budget(5, 0))).toMatchObject({
      layers: ["A"],
      leftBytes: 0,
      isEnough: true,
    });
  });

  it("plans over fifty thousand Trees without a quadratic step", () => {
    const trees = Array.from({ length: 50_000 }, (_, index) => tree(`t${index}`, index, "base", `l${index}`));
    const layers = [layer("base", 1), ...trees.map(({ layers }) => layer(layers[1] ?? "", 1))];
    const plan = planCollection(held({ trees, layers }), none, budget(50_000, 10));
    expect(plan.trees.length).toBe(49_991);
    expect(plan.leftBytes).toBe(10);
  }, 5000);
});
