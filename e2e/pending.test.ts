// A pull that outlasts its call: told in words while it goes on, joined by whoever comes, stopped by nobody.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { metric } from "./metrics.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalInTime, refusalOf } from "./remains.ts";
import { type PodVolume, podVolume } from "./volume.ts";

const MiB = 2 ** 20;
let registry: RegistryDouble;
let plugin: Plugin;
let release = () => {};
beforeAll(async () => {
  registry = await openRegistryDouble();
  plugin = await openPlugin({ settings: { pull: { rangeBytes: "1Mi" } } });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
afterEach(() => release());

/** An artifact of one file of 4 MiB, of which the registry keeps all but the first two back. */
function slowArtifact(tags: readonly string[] = []) {
  const { digest, blobs } = putFiles(registry, { a: unique(4 * MiB) }, { tags });
  const [blob = ""] = blobs;
  const startOf = (range: string | string[] | undefined) =>
    Number(/^bytes=(\d+)/.exec([range].flat()[0] ?? "")?.[1] ?? 0);
  const hold = registry.hold(
    ({ path, headers }) => path.includes(blob) && startOf(headers["range"]) >= 2 * MiB,
  );
  release = hold.release;
  return { digest, blob, reference: `${registry.host}/a/b@${digest}` };
}

async function shown(volume: PodVolume): Promise<void> {
  expect(Object.keys(await contentsOf(volume.target))).toEqual(["a"]);
  await volume.unpublish();
  await nothingLeft(plugin);
}

const podOf = (reference: string, more: Readonly<Record<string, string>> = {}) =>
  podVolume(plugin, { attributes: { reference, ...more } });

describe("publish while the pull goes on", () => {
  it("says how far it is, how fast and from where, before the deadline; the next call joins", async () => {
    const { reference, blob } = slowArtifact();
    const volume = await podOf(reference);
    let told = await refusalInTime(volume);
    // Each call joins, so that the first half arrives on the busiest machine.
    while (!told.message.includes("50 %")) told = await refusalInTime(volume);
    const { code, message } = told;
    expect(code).toBe("ABORTED");
    expect(message).toMatch(
      /: 50 % \(2 MiB of 4 MiB\) at [\d.]+ [kMG]iB\/s from 127\.0\.0\.1:\d+, about .* left$/,
    );
    expect(message).toContain(registry.host);
    const retry = volume.publish();
    release();
    await retry;
    expect(registry.bytesSent(blob as never)).toBe(4 * MiB);
    await shown(volume);
    expect(await metric(plugin, 'larder_refusals_total{reason="pending"}')).toBe(0);
  });

  it("flies on when the caller goes away", async () => {
    const { reference, blob } = slowArtifact();
    const volume = await podOf(reference);
    const caller = new AbortController();
    const call = refusalOf(volume.publish({ signal: caller.signal }));
    await expect.poll(() => registry.bytesSent(blob as never)).toBe(2 * MiB);
    caller.abort();
    expect(await call).toMatchObject({ code: "CANCELLED" });
    const whole = await metric(plugin, 'larder_pull_duration_seconds_count{outcome="whole"}');
    release();
    await expect
      .poll(() => metric(plugin, 'larder_pull_duration_seconds_count{outcome="whole"}'))
      .toBe(whole + 1);
    await volume.publish();
    expect(registry.bytesSent(blob as never)).toBe(4 * MiB);
    await shown(volume);
  });

  it("refuses an unpublish while a call for the volume runs, and takes it afterwards: nothing is mounted later", async () => {
    const { reference, blob } = slowArtifact();
    const volume = await podOf(reference);
    const call = refusalInTime(volume, 5_000);
    await expect.poll(() => registry.bytesSent(blob as never)).toBe(2 * MiB);
    expect(await refusalOf(volume.unpublish())).toMatchObject({
      code: "ABORTED",
      message: expect.stringContaining(volume.id),
    });
    expect(await call).toMatchObject({ code: "ABORTED" });
    await volume.unpublish();
    const whole = await metric(plugin, 'larder_pull_duration_seconds_count{outcome="whole"}');
    release();
    await expect
      .poll(() => metric(plugin, 'larder_pull_duration_seconds_count{outcome="whole"}'))
      .toBe(whole + 1);
    await nothingLeft(plugin);
    expect(await mountsAt(volume.target)).toEqual([]);
  });

  it("gives under Always what the call began with, wherever the tag has moved; the next pod gets the new one", async () => {
    const { digest } = slowArtifact(["moving"]);
    const reference = `${registry.host}/a/b:moving`;
    const always = { "pull-policy": "Always" };
    const volume = await podOf(reference, always);
    expect(await refusalInTime(volume)).toMatchObject({ code: "ABORTED" });
    const moved = putFiles(registry, { b: "moved" }, { tags: ["moving"] });
    release();
    await volume.publish();
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["a"]);
    const next = await podOf(reference, always);
    await next.publish();
    expect(Object.keys(await contentsOf(next.target))).toEqual(["b"]);
    expect(registry.count(`/manifests/${digest}`)).toBeGreaterThan(0);
    expect(registry.count(`/manifests/${moved.digest}`)).toBeGreaterThan(0);
    for (const each of [volume, next]) await each.unpublish();
  });

  it("is resumed after a stop in good order, from what was there", async () => {
    const { reference, blob } = slowArtifact();
    await using first = await openPlugin({ settings: { pull: { rangeBytes: "1Mi" } } });
    const request = { attributes: { reference } };
    const before = await podVolume(first, request);
    expect(await refusalInTime(before)).toMatchObject({ code: "ABORTED" });
    expect(await first.stop()).toBe(0);
    release();
    await using second = await first.restart();
    const after = await podVolume(second, request);
    await after.publish();
    expect(Object.keys(await contentsOf(after.target))).toEqual(["a"]);
    await after.unpublish();
    // The two that were held were asked for twice; the two that had arrived were not.
    expect(registry.bytesSent(blob as never)).toBeLessThanOrEqual(6 * MiB);
    await nothingLeft(second);
  });
});

describe("publish of one artifact by twenty pods at once", () => {
  it("asks the registry for each byte once, and stores it once", async () => {
    const files = Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`f${at}`, unique(2 * MiB + at)]));
    const { digest, blobs } = putFiles(registry, files);
    const layers = (await kept(plugin, "layers")).length;
    const request = { attributes: { reference: `${registry.host}/a/b@${digest}` } };
    const volumes = await Promise.all(Array.from({ length: 20 }, () => podVolume(plugin, request)));
    await Promise.all(volumes.map((volume) => volume.publish()));
    for (const [at, blob] of blobs.entries()) expect(registry.bytesSent(blob as never)).toBe(2 * MiB + at);
    expect((await kept(plugin, "layers")).length).toBe(layers + 1);
    const all = await Promise.all(volumes.map(({ target }) => contentsOf(target)));
    for (const found of all) expect(found).toEqual(all[0]);
    await Promise.all(volumes.map((volume) => volume.unpublish()));
    await nothingLeft(plugin);
  });
});
