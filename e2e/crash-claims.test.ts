// Claims under a plugin that is killed at each of its effects: the same call finishes, and nothing is lost, doubled or left.
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRegistryDouble } from "../testing/registry-double.ts";
import { file, tar } from "../testing/tar-bytes.ts";
import { tool } from "../testing/tool.ts";
import { putImage } from "./artifact.ts";
import { ClaimCalls, type ClaimRequest, openClaimPlugin } from "./claim-calls.ts";
import { KilledNode } from "./killed-node.ts";
import { digestsIn, digestsOf, mountsUnder, namesIn, until } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";

const MIB = 2 ** 20;
const timeout = 900_000;

let node: KilledNode;
beforeEach(async () => {
  node = await KilledNode.open({ oras: await tool("oras") });
});
afterEach(async () => await node[Symbol.asyncDispose]());

const inRoot = (folder: string) => namesIn(path.join(node.plugin.root, folder));

/** Of claims there is nothing but content that others may start from; the pod of before has its volume. */
async function expectNoClaims(): Promise<void> {
  await node.settled();
  for (const folder of ["claims", "volumes", "attempts"]) expect(await inRoot(folder), folder).toEqual([]);
  await node.expectVolumes();
  expect(await mountsUnder(path.join(node.folder, "plugins"))).toEqual([]);
}

type Phase = "create" | "stage" | "publish" | "expand" | "unpublish" | "unstage" | "delete";

const LARGER = 96 * MIB;

/** What a claim goes through, and how each step is known to be done. */
class Life {
  readonly claim: ClaimCalls;

  constructor(request: ClaimRequest) {
    this.claim = new ClaimCalls(node, request);
  }

  readonly phases: Readonly<Record<Phase, () => Promise<void>>> = {
    create: async () => void (await this.claim.create()),
    stage: async () => await this.claim.stage(),
    publish: async () => void (await this.claim.publish({ pod: "user" })),
    expand: async () => {
      expect(await this.claim.expand(LARGER)).toMatchObject({ capacity_bytes: String(LARGER) });
    },
    unpublish: async () => await this.claim.unpublish("user"),
    unstage: async () => await this.claim.unstage(),
    delete: async () => await this.claim.deleteAtLast(),
  };

  /** The steps before this one, as a node does them that nothing happens to; its pod writes as soon as it can. */
  async upTo(phase: Phase): Promise<void> {
    for (const [name, step] of this.#steps) {
      if (name === phase) return;
      await step();
      if (name === "publish") await this.write("early", "written early");
    }
  }

  /** The steps after it. */
  async after(phase: Phase): Promise<void> {
    const names = this.#steps.map(([name]) => name);
    for (const [, step] of this.#steps.slice(names.indexOf(phase) + 1)) await step();
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(path.join(await this.claim.target("user"), name), text);
  }

  async read(name: string): Promise<string> {
    return await readFile(path.join(await this.claim.target("user"), name), "utf8");
  }

  get #steps() {
    return Object.entries(this.phases) as ReadonlyArray<[Phase, () => Promise<void>]>;
  }
}

type Kills = {
  readonly request: (name: string) => ClaimRequest;
  /** Which effects kill; by default all. */
  readonly effects?: string;
  /** What comes before the claim. */
  readonly before?: (name: string) => Promise<void>;
};

/** As many lives as there are effects in the phase, each with one more effect to it, until one comes through. */
async function killInEach(
  phase: Phase,
  { request, effects, before }: Kills,
  check: (life: Life) => Promise<void>,
): Promise<void> {
  for (let left = 0, through = false; !through; left++) {
    const name = `${phase}-${left}`;
    await before?.(name);
    const life = new Life(request(name));
    await life.upTo(phase);
    through = await node.survives(left, effects, life.phases[phase]);
    await life.phases[phase]();
    await check(life);
  }
}

describe("a kill at every effect", { timeout }, () => {
  const plain: Kills = { request: (name) => ({ name }) };
  const gone = async (life: Life) => {
    await life.phases.delete();
    await expectNoClaims();
  };

  it("of CreateVolume leaves what the same call finishes", async () => {
    await killInEach("create", plain, async (life) => {
      expect(await inRoot("claims")).toEqual([life.claim.id]);
      await gone(life);
    });
    expect(node.kills).toBeGreaterThanOrEqual(2);
  });

  it("of NodeStageVolume leaves what the same call finishes, mounted once", async () => {
    await killInEach("stage", plain, async (life) => {
      expect(await mountsUnder(life.claim.staging)).toHaveLength(1);
      await life.phases.publish();
      await life.write("late", "written late");
      expect(await life.read("late")).toBe("written late");
      await life.phases.unpublish();
      await life.phases.unstage();
      await gone(life);
    });
    expect(node.kills).toBeGreaterThanOrEqual(5);
  });

  it("of NodePublishVolume leaves what the same call finishes, mounted once", async () => {
    await killInEach("publish", plain, async (life) => {
      expect(await mountsUnder(await life.claim.target("user"))).toHaveLength(1);
      await life.write("late", "written late");
      await life.after("expand");
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(3);
  });

  it("of NodeExpandVolume leaves what the same call finishes, under its pod", async () => {
    await killInEach("expand", plain, async (life) => {
      expect(await life.read("early")).toBe("written early");
      await life.after("expand");
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(1);
  });

  it.each(["unpublish", "unstage"] as const)(
    "of an %s leaves what the same call finishes, and all that pods wrote",
    async (phase) => {
      await killInEach(phase, plain, async (life) => {
        expect(await mountsUnder(await life.claim.target("user"))).toEqual([]);
        if (phase === "unstage") expect(await mountsUnder(life.claim.staging)).toEqual([]);
        await life.phases.stage();
        await life.phases.publish();
        expect(await life.read("early")).toBe("written early");
        await life.after("expand");
        await expectNoClaims();
      });
      expect(node.kills).toBeGreaterThanOrEqual(2);
    },
  );
});

/** A claim of a key of its own. */
const cached = (key: string): ClaimRequest => ({
  name: key,
  parameters: {
    repository: `${node.registry.host}/caches/\${cache}`,
    cache: "m2",
    key,
    when: "always",
  },
});

/** What the key means before: one file that root wrote. */
async function putBase(key: string): Promise<void> {
  const first = new ClaimCalls(node, { ...cached(key), name: `first-${key}` });
  await first.runPod((at) => writeFile(path.join(at, "base"), "of the base"));
  await first.deleteAtLast();
}

/** On this node, and on another that has to ask the registry for all of it. */
async function expectEverywhere(keys: readonly string[], holds: Readonly<Record<string, string>>) {
  await using other = await openClaimPlugin();
  for (const plugin of [node.plugin, other])
    for (const key of keys) {
      const next = new ClaimCalls({ plugin }, { ...cached(key), name: `next-${key}` });
      await next.runPod(async (at) => expect(await digestsIn(at), key).toEqual(digestsOf(holds)));
      await next.deleteAtLast();
    }
  await expectNoClaims();
}

describe("a kill at every effect of DeleteVolume", { timeout }, () => {
  /** Its versions, and what its moving tag means. */
  const versionsOf = (key: string) => {
    const tags = node.registry.pushes.tags().filter((tag) => tag.startsWith(`${key}.`));
    return { tags, digests: tags.map((tag) => node.registry.pushes.digestOf(tag)) };
  };

  it("leaves one whole version of it, which the key means and everybody can have", async () => {
    const keys: string[] = [];
    await killInEach("delete", { request: cached }, async () => {
      const key = `delete-${keys.length}`;
      keys.push(key);
      const { tags, digests } = versionsOf(key);
      expect(tags, key).toHaveLength(1);
      expect(node.registry.pushes.digestOf(key)).toBe(digests[0]);
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(15);

    await expectEverywhere(keys, { early: "written early" });
  });

  it("in a compaction leaves one version of one layer, which the key means and everybody can have", async () => {
    await node.restart({ chain: { max: 1 } });
    const keys: string[] = [];
    const effects = "^(packMerged|push (manifest|registered)|rename|syncFilesystem)$";
    await killInEach("delete", { request: cached, before: putBase, effects }, async () => {
      const key = `delete-${keys.length}`;
      keys.push(key);
      expect(versionsOf(key).tags, key).toHaveLength(2);
      expect(node.registry.pushes.layersOf(key)).toHaveLength(1);
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(5);
    await expectEverywhere(keys, { base: "of the base", early: "written early" });
  });
});

describe("a kill at every effect of a claim whose pods have a group", { timeout }, () => {
  const ofGroup: Kills = {
    request: (key) => ({ ...cached(key), group: "7000" }),
    before: putBase,
    effects: "^(layer .*|writeAtomically|rename|syncFilesystem|overlay|packDelta)$",
  };
  const groupOf = async (at: string) => (await stat(at)).gid;

  /** Without a group, all that the keys mean is root's again. */
  async function expectRoots(names: readonly string[], keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const next = new ClaimCalls(node, { ...cached(key), name: `next-${key}` });
      await next.runPod(async (at) => {
        for (const name of ["", ...names])
          expect(await groupOf(path.join(at, name)), `${key}/${name}`).toBe(0);
      });
      await next.deleteAtLast();
    }
    await expectNoClaims();
  }

  it("at its stage leaves a base that is made over whole, and theirs", async () => {
    const keys: string[] = [];
    await killInEach("stage", ofGroup, async (life) => {
      keys.push(`stage-${keys.length}`);
      expect(await mountsUnder(life.claim.staging)).toHaveLength(1);
      await life.phases.publish();
      const at = await life.claim.target("user");
      for (const name of ["", "base"]) expect(await groupOf(path.join(at, name))).toBe(7000);
      await life.after("expand");
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(6);
    await expectRoots(["base"], keys);
  });

  it("at its write-back leaves nothing of the group in what is pushed", async () => {
    const keys: string[] = [];
    await killInEach("delete", ofGroup, async () => {
      keys.push(`delete-${keys.length}`);
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(5);
    await expectRoots(["base", "early"], keys);
  });
});

describe("a kill at every effect of a claim under the layout copy", { timeout }, () => {
  beforeEach(() => {
    putImage(node.registry, [tar(file("base", "of the base"))], { tags: ["seed"] });
  });

  const copied = (effects: string): Kills => ({
    request: (key) => ({
      ...cached(key),
      parameters: { ...cached(key).parameters, from: `${node.registry.host}/caches/m2:seed`, layout: "copy" },
    }),
    effects,
  });

  it("at its stage leaves one copy of all of its base, mounted once", async () => {
    await killInEach("stage", copied("^(writeAtomically|makeDirectory|bind|rename)$"), async (life) => {
      expect(await mountsUnder(life.claim.staging)).toHaveLength(1);
      await life.phases.publish();
      expect(await life.read("base")).toBe("of the base");
      await life.after("publish");
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(4);
  });

  it("at its commit and packing leaves one version of what changed, and all of it here and elsewhere", async () => {
    const keys: string[] = [];
    const effects = "^(rename|syncFilesystem|packDelta|claim .*)$";
    await killInEach("delete", copied(effects), async () => {
      const key = `delete-${keys.length}`;
      keys.push(key);
      expect(node.registry.pushes.layersOf(key)).toHaveLength(2);
      expect(node.registry.pushes.tags().filter((tag) => tag.startsWith(`${key}.`))).toHaveLength(1);
      await expectNoClaims();
    });
    expect(node.kills).toBeGreaterThanOrEqual(6);
    await expectEverywhere(keys, { base: "of the base", early: "written early" });
  });
});

describe("a kill while the base of a claim is copied from another registry", { timeout }, () => {
  it("has its program ended at the next start; the same call brings the base and the version", async () => {
    await using source = await openRegistryDouble();
    putImage(source, [tar(file("seed", "of the seed"))], { tags: ["v1"] });
    const hosts = [source.host, node.registry.host];
    await node.restart({ registries: hosts.map((match) => ({ match, plainHttp: true })) });
    const { parameters } = cached("copied");
    const claim = new ClaimCalls(node, {
      name: "copied",
      parameters: { ...parameters, from: `${source.host}/team/store:v1` },
    });
    await claim.runPod((at) => writeFile(path.join(at, "early"), "written early"));
    const isUpload = ({ method }: { readonly method: string }) => method === "POST";
    const held = node.registry.hold(isUpload);
    const deletion = claim.delete({ deadlineMs: 600_000 }).catch(() => undefined);
    // Of its layer and its config: from then on the program has nothing to say, and nobody to say it to kills it.
    const uploads = () => node.registry.asked.filter(isUpload).length;
    await until(() => uploads() === 2, "the base is being copied");
    const [program = 0] = await programsOf(node);
    await node.plugin.kill();
    await deletion;
    expect(await isRunning(program)).toBe(true);
    await node.start();
    await until(async () => !(await isRunning(program)), "the program was ended");
    expect(node.plugin.log.some((line) => /"processes":[1-9]/.test(line))).toBe(true);
    held.release();
    await claim.deleteAtLast();
    const { pushes } = node.registry;
    expect(pushes.layersOf("copied")).toHaveLength(2);
    expect(pushes.layersOf("copied")[0]).toBe(source.pushes.layersOf("v1")[0]);
    expect(pushes.tags().filter((tag) => tag.startsWith("copied."))).toHaveLength(1);
    await expectEverywhere(["copied"], { seed: "of the seed", early: "written early" });
  });
});

/** The processes that the plugin runs, as it has them written down. */
async function programsOf({ plugin }: { readonly plugin: Plugin }): Promise<readonly number[]> {
  const attempts = path.join(plugin.root, "attempts");
  const records = (await namesIn(attempts)).map((name) =>
    readFile(path.join(attempts, name, "process.json"), "utf8"),
  );
  return (await Promise.all(records)).map((text) => (JSON.parse(text) as { pid: number }).pid);
}

/** One that has ended, and that nobody asked how, runs no more. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}
