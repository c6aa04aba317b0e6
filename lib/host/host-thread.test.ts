import { describe, expect, it } from "vitest";
import { HostThread } from "./host-thread.ts";

const script = new URL("./testing/job.worker.ts", import.meta.url);

function start(url: URL) {
  const ended = Promise.withResolvers<unknown>();
  const told: unknown[] = [];
  const thread = new HostThread(
    url,
    {},
    { onTold: (message) => told.push(message), onEnd: (cause) => ended.resolve(cause ?? "by itself") },
  );
  return { thread, told, ended: ended.promise };
}

describe("HostThread", () => {
  it("tells what the thread says, and its end", async () => {
    const { thread, told, ended } = start(script);
    thread.say({ kind: "who", times: 1 });
    thread.say({ kind: "exit" });
    expect(await ended).toBe("by itself");
    expect(told[0]).toEqual({ kind: "told", progress: 0 });
    await thread.terminate();
  });

  it("tells of one that ends with an error", async () => {
    const { ended } = start(new URL("./testing/missing.worker.ts", import.meta.url));
    expect(await ended).toBeInstanceOf(Error);
  });

  it("tells of one that Node refuses to start in the same way, and takes what is said to it", async () => {
    const { thread, ended } = start(new URL("https://nowhere.example/job.worker.ts"));
    thread.ref();
    thread.say({ kind: "who" });
    thread.unref();
    expect(await ended).toBeInstanceOf(Error);
    await thread.terminate();
  });
});
