import { describe, expect, it } from "vitest";
import { FeedProgress } from "./feed-progress.ts";

describe("FeedProgress", () => {
  it("advance() is seen through the same shared memory and never goes back", () => {
    const writer = new FeedProgress();
    const reader = new FeedProgress(writer.shared);
    writer.advance(10);
    writer.advance(5);
    expect(reader.read()).toEqual({ bytes: 10, state: "growing" });
  });

  it("advance() carries more than 32 bits", () => {
    const feed = new FeedProgress();
    feed.advance(2 ** 40 + 1);
    expect(feed.read().bytes).toBe(2 ** 40 + 1);
  });

  it("changed() resolves at once when there is more already", async () => {
    const feed = new FeedProgress();
    feed.advance(1);
    await feed.changed(0);
  });

  it.each([
    ["advance", (feed: FeedProgress) => feed.advance(8)],
    ["end", (feed: FeedProgress) => feed.end()],
    ["abort", (feed: FeedProgress) => feed.abort()],
    ["wake", (feed: FeedProgress) => feed.wake()],
  ])("changed() waits for %s()", async (_name, act) => {
    const feed = new FeedProgress();
    let woken = false;
    const waiting = new FeedProgress(feed.shared).changed(0).then(() => (woken = true));
    await Promise.resolve();
    expect(woken).toBe(false);
    act(feed);
    await waiting;
  });

  it("end() and abort() keep what came first", () => {
    const feed = new FeedProgress();
    feed.end();
    feed.abort();
    expect(feed.read().state).toBe("ended");
  });
});
