import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openRealRegistry, registryUser } from "./real-registry.ts";

const basic = `Basic ${Buffer.from(`${registryUser.username}:${registryUser.password}`).toString("base64")}`;

describe("openRealRegistry()", () => {
  it("answers at its host, is gone when disposed of, and leaves no file", async () => {
    let host = "";
    let storage = "";
    {
      await using registry = await openRealRegistry();
      ({ host, storage } = registry);
      expect((await fetch(`http://${host}/v2/`)).status).toBe(200);
    }
    await expect(fetch(`http://${host}/v2/`)).rejects.toThrow("fetch failed");
    expect(existsSync(storage)).toBe(false);
  });

  it("asks for the password", async () => {
    await using registry = await openRealRegistry({ password: true });
    const url = `http://${registry.host}/v2/`;
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { authorization: basic } })).status).toBe(200);
  });

  it("comes back at the same host with what it held", async () => {
    await using first = await openRealRegistry();
    await first.stop();
    await using again = await openRealRegistry({ host: first.host, storage: first.storage });
    expect(again.host).toBe(first.host);
  });
});
