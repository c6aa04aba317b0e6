import { describe, expect, it } from "vitest";
import { Trash } from "./trash.ts";

function openTrash() {
  const [gone, troubles]: [string[], string[]] = [[], []];
  const state = { isBroken: true };
  const trash = new Trash({
    files: { rename: async () => undefined, list: async () => [] },
    directory: "/trash",
    removeTree: async (_, name) => {
      if (state.isBroken) throw new Error("no descriptors");
      gone.push(name);
    },
    onTrouble: (message) => void troubles.push(message),
  });
  return { trash, gone, troubles, state };
}

describe("Trash", () => {
  it("take() and retry() begin again with what could not be removed, and tell of it once", async () => {
    const { trash, gone, troubles, state } = openTrash();
    await trash.take("/a");
    await trash.emptied();
    trash.retry();
    await trash.emptied();
    expect(troubles).toHaveLength(1);
    state.isBroken = false;
    await trash.take("/b");
    await trash.emptied();
    expect(gone).toHaveLength(2);
    trash.retry();
    await trash.emptied();
    expect(gone).toHaveLength(2);
    expect(troubles).toHaveLength(1);
  });
});
