// Calls for a few claims in any order, twice at once, stopped anywhere, over restarts and power losses: what must never be
// is looked for after each, and in the end nothing is left.
import { expect, it } from "vitest";
import { claimIdOf } from "../core/claim-record.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { expandClaim } from "./expand-claim.ts";
import { modifyClaim } from "./modify-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest } from "./testing/claims.ts";
import { call, root } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const WALKS = 100;
const STEPS = 80;
/** By their names, and what is particular about each. */
const parametersOf: Readonly<Record<string, ReadonlyArray<readonly [string, string]>>> = {
  one: [],
  two: [["durability", "volatile"]],
  three: [["layout", "copy"]],
};
const claims = Object.keys(parametersOf);
const groups = ["", "1000", "2000"];
const pods = ["p", "q"];
const kubelet = "/var/lib/kubelet";
const stagingOf = (name: string) => `${kubelet}/plugins/${name}/globalmount`;
const targetOf = (name: string, pod: string) =>
  `${kubelet}/pods/${pod}/volumes/kubernetes.io~csi/${name}/mount`;
const parameters = new Map([
  ["repository", "r.example/caches/${cache}"],
  ["cache", "m2"],
  ["when", "always"],
]);
const outcomes: ReadonlyArray<Readonly<Record<string, string>>> = [
  { outcome: "success" },
  { outcome: "failure" },
  { policy: "discard" },
  { policy: "pull-push" },
];

/** The same numbers for the same seed (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const upperOf = (volumeId: string) => `${root}/volumes/${volumeId}/upper`;

class Walk {
  readonly #node = new ClaimNode();
  readonly #draw: (below: number) => number;
  #deps!: Awaited<ReturnType<ClaimNode["startClaims"]>>;
  #isRegistryUp = true;
  #drawn = 0;
  readonly said: string[] = [];

  constructor(seed: number) {
    this.#draw = seeded(seed);
    const { mounts } = this.#node;
    const overlay = mounts.overlay.bind(mounts);
    mounts.overlay = async (request) => {
      const shown = (await mounts.list()).filter(({ options }) =>
        options.includes(`upperdir=${request.upper},`),
      );
      if (shown.length > 0) throw new Error(`${request.upper} is mounted a second time`);
      await overlay(request);
    };
  }

  async start(): Promise<void> {
    this.#node.stopAfter = undefined;
    this.#node.adopted.clear();
    const deps = await this.#node.startClaims();
    for (const name of claims)
      for (const pod of pods)
        await this.#node.files.makeDirectory(targetOf(name, pod).slice(0, -"/mount".length));
    this.#deps = {
      ...deps,
      drawId: () => `id${++this.#drawn}`,
      push: async (record, packed, told) => {
        if (!this.#isRegistryUp) throw new Failure("unavailable", "Cannot push: the registry is away");
        return await deps.push(record, packed, told);
      },
    };
  }

  async step(): Promise<void> {
    const chance = this.#draw(20);
    if (chance === 0) return await this.#restart("restart");
    if (chance === 1) return await this.#losePower();
    if (chance === 2) this.#isRegistryUp = !this.#isRegistryUp;
    const isStopped = chance === 3 || chance === 4;
    if (isStopped) this.#node.stopAfter = this.#node.effects + this.#draw(8);
    const calls = Array.from({ length: chance > 14 ? 2 : 1 }, () => this.#call());
    await Promise.all(calls);
    if (isStopped) await this.#restart("stopped");
    await this.check();
  }

  async check(): Promise<void> {
    const { claims: records } = this.#deps;
    const projects = [...records.all.values()].map(({ project }) => project);
    expect(new Set(projects).size).toBe(projects.length);
    for (const { target, options, root: bound } of await this.#node.mounts.list()) {
      const owners = [...records.all.values()].filter(
        ({ stage, publications }) =>
          stage?.path === target || publications.some((one) => one.target === target),
      );
      expect(owners.map(({ volumeId }) => upperOf(volumeId))).toEqual([
        /(?<=upperdir=).*?(?=,)/.exec(options)?.[0] ?? bound,
      ]);
      expect(owners[0]?.commit).toBeUndefined();
    }
  }

  /** All pods end and all claims are deleted, while nothing is amiss any more. */
  async end(): Promise<object> {
    this.#isRegistryUp = true;
    for (const name of claims) {
      const volumeId = claimIdOf(name);
      const { stage, publications = [] } = this.#deps.claims.find(volumeId) ?? {};
      for (const { target } of publications) await unpublishClaim(this.#deps, { volumeId, target });
      if (stage !== undefined) await unstageClaim(this.#deps, { volumeId, path: stage.path }, call);
      await this.#delete(name);
    }
    const { files, mounts, quotas } = this.#node;
    const limits = (await quotas.list()).filter((project) => project.limits !== undefined);
    const left = [
      await mounts.list(),
      await files.list(`${root}/claims`),
      await files.list(`${root}/volumes`),
      limits,
    ];
    return left.flat();
  }

  async #call(): Promise<void> {
    const name = claims[this.#draw(claims.length)] ?? "";
    // Now and then a path of another.
    const other = this.#draw(12) === 0 ? (claims[this.#draw(claims.length)] ?? name) : name;
    const pod = pods[this.#draw(pods.length)] ?? "";
    const does = this.#draw(10);
    this.said.push(`${does} ${name} ${other} ${pod}`);
    try {
      await this.#do(does, { name, other, pod });
    } catch (error) {
      const isStop = (error as Error).constructor.name === "Stopped";
      if (!isFailure(error) && !isStop) throw error;
      this.said.push(`  ${(error as Error).message.slice(0, 60)}`);
    }
  }

  async #do(
    does: number,
    { name, other, pod }: Readonly<Record<"name" | "other" | "pod", string>>,
  ): Promise<unknown> {
    const deps = this.#deps;
    const volumeId = claimIdOf(name);
    const [path, target] = [stagingOf(other), targetOf(other, pod)];
    const { capability, ...plain } = stageRequest(volumeId, groups[this.#draw(groups.length)]);
    switch (does) {
      case 0:
        return await createClaim(
          deps,
          createRequest({ name, parameters: new Map([...parameters, ...(parametersOf[name] ?? [])]) }),
          call,
        );
      case 1:
      case 2:
        return await stageClaim(deps, { ...plain, capability, path }, call);
      case 3:
      case 4: {
        const how = { readOnly: false, attributes: new Map(), stagingPath: path, target };
        return await publishClaim(deps, { ...plain, ...how, capability }, call);
      }
      case 5:
        return await unpublishClaim(deps, { volumeId, target });
      case 6:
        return await unstageClaim(deps, { volumeId, path }, call);
      case 7:
        return await this.#delete(name);
      case 8: {
        const mutable = new Map(Object.entries(outcomes[this.#draw(outcomes.length)] ?? {}));
        return await modifyClaim(deps, { volumeId, mutable, secrets: new Map() });
      }
      default: {
        const size = { requiredBytes: (10 + this.#draw(10)) * 2 ** 20, limitBytes: 0 };
        return await expandClaim(deps, { volumeId, path, size });
      }
    }
  }

  /** Gone is what was pushed, or let go for a reason that was said. */
  async #delete(name: string): Promise<void> {
    const volumeId = claimIdOf(name);
    const node = this.#node;
    const before = this.#deps.claims.find(volumeId);
    const [pushes, lines] = [node.pushes.length, node.log.lines.length];
    await deleteClaim(this.#deps, { volumeId, secrets: new Map() }, call);
    if (before === undefined || before.letGo !== undefined || before.push?.state === "confirmed") return;
    const isPushed = node.pushes.slice(pushes).includes(volumeId);
    const said = node.log.lines.slice(lines).filter((line) => line["volume"] === volumeId && "why" in line);
    expect(isPushed || said.length > 0).toBe(true);
    expect(said.filter(({ level }) => level === "error")).toEqual([]);
  }

  async #restart(why: string): Promise<void> {
    this.said.push(why);
    await this.start();
    await this.check();
  }

  async #losePower(): Promise<void> {
    this.#node.files.losePower();
    this.#node.mounts.forget();
    await this.#restart("power loss");
  }
}

it.each(Array.from({ length: WALKS }, (_, at) => at + 1))(
  "claims, in walk %i of calls in any order, are never mixed, mounted twice, lost or left behind",
  async (seed) => {
    const walk = new Walk(seed);
    await walk.start();
    try {
      for (let step = 0; step < STEPS; step++) await walk.step();
      expect(await walk.end()).toEqual([]);
    } catch (error) {
      throw new Error(`after ${walk.said.slice(-14).join("\n")}`, { cause: error });
    }
  },
);
