// Pods with an fsGroup use claims through the real plugin: as users of their own, over caches that others wrote.
import { readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { openRegistryDouble } from "../testing/registry-double.ts";
import { directory, file, tar } from "../testing/tar-bytes.ts";
import { putImage } from "./artifact.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { mountsAt } from "./mounts.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";
import { podVolume } from "./volume.ts";

let open: AsyncDisposableStack;
let registry: RealRegistry;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
});
afterEach(async () => await open.disposeAsync());

const newNode = async (): Promise<Plugin> => open.use(await openClaimPlugin());

function cached(plugin: Plugin, name: string, group = ""): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", when: "always" };
  return new ClaimCalls({ plugin }, { name, parameters, group });
}

/** What a container does that runs as a user of its own, with the pod's fsGroup among its groups. */
async function runAs(group: string, at: string, script: string): Promise<string> {
  const who = ["--reuid", "1001", "--regid", "1001", "--groups", group, "--inh-caps=-all"];
  const { stdout } = await execa("setpriv", [...who, "bash", "-euc", script], { cwd: at });
  return stdout;
}

async function tags(): Promise<readonly string[]> {
  const answer = await fetch(`http://${registry.host}/v2/caches/m2/tags/list`);
  return ((await answer.json()) as { tags?: string[] }).tags ?? [];
}

/** A cache that root's pod wrote. */
async function fill(plugin: Plugin): Promise<void> {
  const claim = cached(plugin, "first");
  await claim.runPod(async (at) => {
    await execa("bash", ["-euc", "umask 022; mkdir -p d/e private; echo 1 > d/one; echo 2 > d/e/two"], {
      cwd: at,
    });
    await execa("bash", ["-euc", "chmod 700 private; echo s > private/s; chmod 755 ."], { cwd: at });
  });
  await claim.deleteAtLast();
}

const facts = async (at: string) => {
  const { uid, gid, mode } = await stat(at);
  return [uid, gid, (mode & 0o7777).toString(8)];
};

describe("a claim for pods with an fsGroup", { timeout: 180_000 }, () => {
  it("is all theirs to write, though the base is root's, and only what they changed is theirs to keep", async () => {
    const plugin = await newNode();
    await fill(plugin);
    const claim = cached(plugin, "second", "2000");
    await claim.runPod(async (at) => {
      expect(await facts(at)).toEqual([0, 2000, "2775"]);
      expect(await runAs("2000", at, "cat private/s")).toBe("s");
      await runAs("2000", at, "echo more >> d/one; mkdir made; echo n > made/n; rm d/e/two");
      const { stdout: isRefused } = await execa(
        "bash",
        ["-c", "setpriv --reuid 1001 --regid 1001 --clear-groups touch d/x || echo refused"],
        { cwd: at },
      );
      expect(isRefused).toBe("refused");
      // Nothing of the base was copied up but what was changed, and the directories it is in.
      const upper = path.join(plugin.root, "volumes", claim.id, "upper");
      expect((await readdir(upper, { recursive: true })).sort()).toEqual([
        "d",
        "d/e",
        "d/e/two",
        "d/one",
        "made",
        "made/n",
      ]);
    });
    await claim.deleteAtLast();
    expect((await tags()).length).toBe(3);

    const other = await newNode();
    await cached(other, "third").runPod(async (at) => {
      expect(await facts(at)).toEqual([0, 0, "755"]);
      expect(await facts(path.join(at, "d/one"))).toEqual([0, 0, "644"]);
      expect(await facts(path.join(at, "private"))).toEqual([0, 0, "700"]);
      expect(await facts(path.join(at, "made/n"))).toEqual([1001, 0, "644"]);
      expect(await readdir(path.join(at, "d/e"))).toEqual([]);
    });
    // Here the same tree is attached, and made over for another group.
    const next = cached(plugin, "fourth", "3000");
    await next.runPod(async (at) => {
      expect(await runAs("3000", at, "echo more >> made/n; echo x > private/x; cat d/one made/n")).toBe(
        "1\nmore\nn\nmore",
      );
    });
    await next.deleteAtLast();
    for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder)).toEqual([]);
    await nothingLeft(plugin);
  });

  it("pushes nothing where pods of groups came and went and changed nothing", async () => {
    const plugin = await newNode();
    await fill(plugin);
    const before = await tags();
    const claim = cached(plugin, "second", "2000");
    await claim.runPod(async (at) => void (await runAs("2000", at, "chmod g+w d/one || true; ls")));
    claim.group = "3000";
    await claim.runPod(async (at) => void (await runAs("3000", at, "echo x > d/x; rm d/x")));
    await claim.deleteAtLast();
    expect(await tags()).toEqual(before);
  });

  it("is refused in words to pods of another group while others use it, and theirs once those are gone", async () => {
    const plugin = await newNode();
    await fill(plugin);
    const claim = cached(plugin, "second", "2000");
    await claim.create();
    await claim.stage();
    const one = await claim.publish({ pod: "one" });
    await writeFile(path.join(one, "of-one"), "1");
    claim.group = "3000";
    const refusal = await refusalOf(claim.publish({ pod: "two" }));
    expect(refusal.code).toBe("FAILED_PRECONDITION");
    expect(refusal.message).toContain("pods of the group 2000 use it");
    expect(await runAs("2000", one, "cat of-one")).toBe("1");
    await claim.unpublish("one");
    // The kubelet keeps it staged for the pod that waits.
    const two = await claim.publish({ pod: "two" });
    expect(await runAs("3000", two, "echo 2 >> of-one; echo 2 >> d/one; cat of-one")).toBe("12");
    expect(await mountsAt(claim.staging)).toHaveLength(1);
    expect(await facts(two)).toEqual([0, 3000, "2775"]);
    await claim.unpublish("two");
    await claim.unstage();
    await claim.deleteAtLast();
    await nothingLeft(plugin);
  });

  it("is theirs whole after the plugin died while it was made over", async () => {
    const plugin = await newNode();
    await fill(plugin);
    const claim = cached(plugin, "second", "2000");
    await claim.create();
    // It dies before or after: either way the call is made again.
    const staging = claim.stage().catch(() => undefined);
    await plugin.kill();
    await staging;
    const again = open.use(await plugin.restart());
    const second = cached(again, "second", "2000");
    await second.runPod(async (at) => {
      expect(await runAs("2000", at, "echo more >> d/one; cat d/one private/s")).toBe("1\nmore\ns");
    });
    await second.deleteAtLast();
    for (const folder of ["claims", "volumes"]) expect(await kept(again, folder)).toEqual([]);
  });
});

describe("an inline volume of a pod with an fsGroup", { timeout: 180_000 }, () => {
  it.each(["overlay", "copy"])(
    "is the group's to write under layout %s, and as it was to read",
    async (layout) => {
      const double = open.use(await openRegistryDouble());
      const layers = [tar(directory("d/"), file("d/one", "1")), tar(file("d/two", "2"))];
      putImage(double, layers, { tags: ["v1"] });
      const settings = { registries: [{ match: double.host, plainHttp: true }] };
      const plugin = open.use(await openClaimPlugin({ settings }));
      const reference = `${double.host}/team/it:v1`;
      const volume = await podVolume(plugin, {
        attributes: { reference, writable: "true", size: "8Mi", layout },
        writable: true,
        group: "2000",
      });
      await volume.publish();
      await volume.publish();
      expect(await runAs("2000", volume.target, "echo more >> d/one; echo n > d/new; cat d/one")).toBe(
        "1more",
      );
      expect(await facts(path.join(volume.target, "d/new"))).toEqual([1001, 2000, "644"]);
      const reader = await podVolume(plugin, { attributes: { reference }, group: "2000" });
      await reader.publish();
      expect(await facts(path.join(reader.target, "d/one"))).toEqual([0, 0, "644"]);
      for (const one of [volume, reader]) await one.unpublish();
      expect(await kept(plugin, "volumes")).toEqual([]);
      await nothingLeft(plugin);
    },
  );
});
