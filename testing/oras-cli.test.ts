import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { orasCli } from "./oras-cli.ts";
import { openRealRegistry, registryUser } from "./real-registry.ts";

it("orasCli() pushes to a registry that asks for a password", async () => {
  await using registry = await openRealRegistry({ password: true });
  const cwd = await mkdtemp(path.join(os.tmpdir(), "larder-oras-"));
  try {
    await writeFile(path.join(cwd, "a.txt"), "a");
    const login = ["--plain-http", "-u", registryUser.username, "--password-stdin"];
    const reference = `${registry.host}/a/b:v1`;
    await orasCli(cwd, ["push", ...login, reference, "a.txt"], { input: registryUser.password });
    expect(await orasCli(cwd, ["resolve", ...login, reference], { input: registryUser.password })).toMatch(
      /^sha256:/,
    );
  } finally {
    await rm(cwd, { recursive: true });
  }
});
