import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { checkMark, openRealRegistry, registryUser } from "./real-registry.ts";
import { openRegistryDouble } from "./registry-double.ts";
import { makeSelfSigned } from "./self-signed.ts";

const tls = makeSelfSigned(new Date(Date.now() + 24 * 3_600_000));

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

  it("answers over TLS, and is known to be the one that was started", async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(os.tmpdir(), "larder-tls-"));
    stack.defer(() => rm(folder, { recursive: true }));
    const at = { certificate: path.join(folder, "own.crt"), key: path.join(folder, "own.key") };
    await writeFile(at.certificate, tls.cert);
    await writeFile(at.key, tls.key);
    const registry = stack.use(await openRealRegistry({ tls: at }));
    await expect(checkMark(`https://${registry.host}`, "another")).rejects.toThrow("Another registry");
  });

  it("comes back at the same host with what it held", async () => {
    await using first = await openRealRegistry();
    await first.stop();
    await using again = await openRealRegistry({ host: first.host, storage: first.storage });
    expect(again.host).toBe(first.host);
  });

  it.each([
    ["HTTP", {}],
    ["TLS", { tls }],
  ])("takes no other server over %s for its own", async (_, options) => {
    await using other = await openRegistryDouble(options);
    await expect(checkMark(other.origin, "ours")).rejects.toThrow(
      `Another registry answers at ${other.origin}`,
    );
  });
});
