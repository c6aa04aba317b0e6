// The three pages, as a probe and a scraper ask for them.
import { once } from "node:events";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { isFailure } from "../lib/core/failure.ts";
import { type HealthDeps, openHealth } from "./health.ts";

const healthy: HealthDeps = {
  isAlive: async () => true,
  problems: () => [],
  metrics: { expose: async () => ({ contentType: "text/plain; version=0.0.4", text: "calls_total 1\n" }) },
};

const loopback = { host: "127.0.0.1", port: 0 };

async function ask(path: string, deps: Partial<HealthDeps> = {}, init: RequestInit = {}) {
  await using health = await openHealth(loopback, { ...healthy, ...deps });
  const response = await fetch(`http://${health.address}${path}`, init);
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

const failing = async () => {
  throw new Error("a secret detail");
};

describe("openHealth()", () => {
  it.each([
    ["/healthz", "ok\n"],
    ["/healthz?verbose", "ok\n"],
    ["/readyz", "ok\n"],
    ["/metrics", "calls_total 1\n"],
  ])("answers %s", async (path, text) => {
    expect(await ask(path)).toMatchObject({ status: 200, text });
  });

  it("names the metrics' own type", async () => {
    expect((await ask("/metrics")).type).toBe("text/plain; version=0.0.4");
  });

  it("is not alive when clients do not reach the socket", async () => {
    expect(await ask("/healthz", { isAlive: async () => false })).toMatchObject({ status: 503 });
  });

  it("is ready and says what it goes without", async () => {
    expect(await ask("/readyz", { notes: ["sizes are no limits"] })).toMatchObject({
      status: 200,
      text: "ok\nsizes are no limits\n",
    });
  });

  it("says every reason why it is not ready, and lives on", async () => {
    const problems = () => ["the kubelet has not asked", "the disk is full"];
    expect(await ask("/readyz", { problems })).toMatchObject({
      status: 503,
      text: "the kubelet has not asked\nthe disk is full\n",
    });
    expect((await ask("/healthz", { problems })).status).toBe(200);
  });

  it("answers what fails without its words", async () => {
    const metrics = { expose: failing };
    expect(await ask("/metrics", { metrics })).toMatchObject({
      status: 500,
      text: expect.not.stringContaining("secret"),
    });
    expect((await ask("/healthz", { isAlive: failing })).status).toBe(500);
  });

  it("answers nothing else", async () => {
    expect((await ask("/")).status).toBe(404);
    expect((await ask("/metrics/../etc")).status).toBe(404);
    expect((await ask("/metrics", {}, { method: "POST", body: "x" })).status).toBe(405);
    expect(await ask("/healthz", {}, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  it("listens everywhere where no host is named", async () => {
    await using health = await openHealth({ host: "::", port: 0 }, healthy);
    const port = health.address.slice(health.address.lastIndexOf(":") + 1);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  });

  it("listens on an IPv6 address", async () => {
    await using health = await openHealth({ host: "::1", port: 0 }, healthy);
    expect(health.address).toMatch(/^\[::1\]:\d+$/);
    expect((await fetch(`http://${health.address}/healthz`)).status).toBe(200);
  });

  it("says which address is taken and what to set", async () => {
    await using health = await openHealth(loopback, healthy);
    const taken = { host: "127.0.0.1", port: Number(health.address.split(":")[1]) };
    await expect(openHealth(taken, healthy)).rejects.toThrow(
      `Cannot serve metrics at "${health.address}": another process has that port; set another in metrics.address`,
    );
    await expect(openHealth({ ...loopback, host: "192.0.2.1" }, healthy)).rejects.toSatisfy((error) =>
      isFailure(error, "in-use"),
    );
  });

  it("ends although a client holds its connection open", async () => {
    const health = await openHealth(loopback, healthy);
    const client = net.connect(Number(health.address.split(":")[1]), "127.0.0.1");
    await once(client, "connect");
    const closed = once(client, "close");
    await health[Symbol.asyncDispose]();
    await closed;
    await health[Symbol.asyncDispose]();
  });
});
