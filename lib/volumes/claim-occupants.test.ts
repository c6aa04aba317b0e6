// What stands at a claim's paths and is not ours: refused, and left as it is, by stage, publish, unpublish and unstage.
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import { createClaim } from "./create-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { createRequest, stageRequest } from "./testing/claims.ts";
import { call } from "./testing/node.ts";
import { type RealDeps, RealNode } from "./testing/real-node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;

let node: RealNode;
let deps: RealDeps;
let volumeId: string;
let staging: string;
let target: string;
beforeEach(async () => {
  node = new RealNode();
  deps = await node.start();
  [staging, target] = ["globalmount", "pod/mount"].map((name) => path.join(node.root, "kubelet", name)) as [
    string,
    string,
  ];
  for (const at of [staging, target]) mkdirSync(path.dirname(at), { recursive: true });
  ({ volumeId } = await createClaim(deps, createRequest({ name: "one" }), call));
});
afterEach(async () => await node[Symbol.asyncDispose]());

const stage = async () => await stageClaim(deps, { ...stageRequest(volumeId), path: staging }, call);
const unstage = async () => await unstageClaim(deps, { volumeId, path: staging }, call);
const unpublish = async () => await unpublishClaim(deps, { volumeId, target });
async function publish(): Promise<void> {
  const { capability } = stageRequest(volumeId);
  const plain = { readOnly: false, attributes: new Map(), secrets: new Map() };
  await publishClaim(deps, { ...plain, volumeId, target, stagingPath: staging, capability }, call);
}

const record = () => deps.claims.require(volumeId);

type Occupant = readonly [
  name: string,
  put: (at: string) => Promise<void> | void,
  expectThere: (at: string) => Promise<void> | void,
  take: (at: string) => Promise<unknown> | void,
];

const flags = { readOnly: false, noSuid: true, noDev: true };
const mount: Occupant = [
  "another's mount",
  async (at) => await node.mounts.bind({ source: "/srv/theirs", target: at, flags }),
  async (at) => expect((await node.mounts.at(at)).at(-1)?.root).toBe("/srv/theirs"),
  async (at) => await node.mounts.unmount(at),
];
const file: Occupant = [
  "a file",
  (at) => writeFileSync(at, "theirs"),
  (at) => expect(readFileSync(at, "utf8")).toBe("theirs"),
  (at) => unlinkSync(at),
];
const symlink: Occupant = [
  "a symlink",
  (at) => symlinkSync("/tmp", at),
  (at) => expect(readlinkSync(at)).toBe("/tmp"),
  (at) => unlinkSync(at),
];
const filled: Occupant = [
  "a directory with something in it",
  (at) => {
    mkdirSync(at);
    writeFileSync(path.join(at, "x"), "theirs");
  },
  (at) => expect(readFileSync(path.join(at, "x"), "utf8")).toBe("theirs"),
  (at) => rmSync(at, { recursive: true }),
];
const occupants = [mount, file, symlink, filled];

describe("stageClaim() at a path with", () => {
  it.each(occupants)(
    "%s refuses and leaves it, and stages once it is gone",
    async (_, put, expectThere, take) => {
      await put(staging);
      for (let tries = 0; tries < 2; tries++) await expect(stage()).rejects.toEqual(being("conflict"));
      await expectThere(staging);
      expect(record().stage).toBeUndefined();
      await take(staging);
      await stage();
      expect(record().stage?.path).toBe(staging);
    },
  );
});

describe("publishClaim() at a target with", () => {
  it.each(occupants)(
    "%s refuses and leaves it, and publishes once it is gone",
    async (_, put, expectThere, take) => {
      await stage();
      await put(target);
      for (let tries = 0; tries < 2; tries++) await expect(publish()).rejects.toEqual(being("conflict"));
      await expectThere(target);
      expect(record().publications).toEqual([]);
      await take(target);
      await publish();
      expect(record().publications).toMatchObject([{ target }]);
    },
  );
});

describe("unpublishClaim() at a target with", () => {
  it("another's mount over ours refuses and leaves both, and unpublishes once that is gone", async () => {
    const [, put, expectThere, take] = mount;
    await stage();
    await publish();
    await put(target);
    await expect(unpublish()).rejects.toEqual(being("conflict"));
    await expectThere(target);
    expect(await node.mounts.at(target)).toHaveLength(2);
    expect(record().publications).toHaveLength(1);
    await take(target);
    await unpublish();
    expect(await node.mounts.at(target)).toEqual([]);
    expect(record().publications).toEqual([]);
  });

  it.each([file, symlink, filled])(
    "%s in the place of ours says so and leaves it",
    async (_, put, expectThere, take) => {
      await put(target);
      await expect(unpublish()).rejects.toEqual(being("conflict"));
      await expectThere(target);
      await take(target);
      await unpublish();
    },
  );
});

describe("unstageClaim() at a path with", () => {
  it("another's mount over ours refuses and leaves both, and unstages once that is gone", async () => {
    const [, put, expectThere, take] = mount;
    await stage();
    await put(staging);
    await expect(unstage()).rejects.toEqual(being("conflict"));
    await expectThere(staging);
    expect(await node.mounts.at(staging)).toHaveLength(2);
    expect(record().stage?.path).toBe(staging);
    await take(staging);
    await unstage();
    expect(await node.mounts.at(staging)).toEqual([]);
    expect(record().stage).toBeUndefined();
  });

  it.each([file, symlink, filled])(
    "%s and no mount leaves it: the path is the kubelet's",
    async (_, put, expectThere) => {
      await put(staging);
      await unstage();
      await expectThere(staging);
    },
  );
});
