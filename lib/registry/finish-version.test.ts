import { afterEach, describe, expect, it } from "vitest";
import {
  type DoubleOptions,
  openRegistryDouble,
  type RegistryDouble,
} from "../../testing/registry-double.ts";
import type { Access } from "../core/access.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { finishVersion } from "./finish-version.ts";
import { pushVersion } from "./push-version.ts";
import { openPushKit, type PushKit, tagOf } from "./testing/push-kit.ts";

const watch = { signal: new AbortController().signal };

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function setting(options?: DoubleOptions) {
  const kit = open.use(await openPushKit());
  const registry = open.use(await openRegistryDouble(options));
  const access: Access = { host: registry.host, repository: "a/b" };
  return { kit, registry, access };
}

/** A version that was stopped when its tag had been set, and before the key was. */
async function tagged({ kit, access }: { readonly kit: PushKit; readonly access: Access }, time = 1) {
  const version = await kit.version(access, { time, texts: ["one", "two"] });
  const onStep = async (step: string) => {
    if (step === "version-tag") throw new Error("stopped");
  };
  await expect(pushVersion(kit.deps, version, { ...watch, onStep })).rejects.toThrow("stopped");
  return version;
}

const writes = (registry: RegistryDouble) => registry.asked.filter(({ method }) => method === "POST").length;

describe("finishVersion()", () => {
  it("moves the key to what is tagged and whole, and sends nothing again", async () => {
    const at = await setting();
    const version = await tagged(at);
    const before = writes(at.registry);
    expect(await finishVersion(at.kit.deps, version, watch)).toMatchObject({
      kind: "pushed",
      digest: version.digest,
      sentBytes: 0,
      key: { state: "moved" },
    });
    expect(at.registry.pushes.digestOf("k")).toBe(version.digest);
    expect(writes(at.registry)).toBe(before);
  });

  it("leaves the key where the version must not have it, and to a newer one", async () => {
    const at = await setting();
    const { key, ...version } = await tagged(at);
    expect(await finishVersion(at.kit.deps, version, watch)).toMatchObject({ key: { state: "left" } });
    const newer = await at.kit.version(at.access, { time: 2, texts: ["new"] });
    await pushVersion(at.kit.deps, newer, watch);
    expect(await finishVersion(at.kit.deps, { ...version, key }, watch)).toMatchObject({
      key: { state: "superseded", by: newer.digest },
    });
  });

  it.each<[string, (registry: RegistryDouble, digest: Digest) => void]>([
    ["of which a layer is gone", (registry) => registry.pushes.lose(digestOf("one"))],
    ["of which a layer is cut short", (registry) => void registry.blob("o", digestOf("one"))],
    ["whose tag is gone", (registry) => registry.pushes.lose(tagOf(1) as Digest)],
    [
      "whose tag is another's",
      (registry) => void registry.manifest("no manifest at all", { tags: [tagOf(1)] }),
    ],
  ])("takes nothing for done %s, and changes nothing", async (_, spoil) => {
    const at = await setting();
    const version = await tagged(at);
    spoil(at.registry, version.digest);
    expect(await finishVersion(at.kit.deps, version, watch)).toBeUndefined();
    expect(at.registry.pushes.digestOf("k")).toBeUndefined();
  });

  it("takes nothing for done where the registry denies the repository, and fails where it is down", async () => {
    const { kit, registry, access } = await setting({
      auth: { kind: "basic", username: "ann", password: "s3cret" },
    });
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    expect(await finishVersion(kit.deps, version, watch)).toBeUndefined();
    await registry[Symbol.asyncDispose]();
    await expect(finishVersion(kit.deps, version, watch)).rejects.toSatisfy((error) =>
      isFailure(error, "unavailable"),
    );
  });
});
