import { beforeEach, describe, expect, it } from "vitest";
import { Failure, isFailure } from "../core/failure.ts";
import { MemoryFiles } from "../host/files.fake.ts";
import { openMemoryLog } from "../host/log.fake.ts";
import { MemoryPools } from "../host/pool.fake.ts";
import type { OpenPool, PoolRequest } from "../host/pool.ts";
import { MemoryQuotas } from "../host/quotas.fake.ts";
import { quotaRemedies } from "../host/quotas.ts";
import { type LimitsSettings, openLimits } from "./open-limits.ts";

const GIB = 2 ** 30;
const root = "/larder";

/** Its images are files, as real ones are. */
class FilePools extends MemoryPools {
  readonly files: MemoryFiles;
  requests: PoolRequest[] = [];
  trouble: Failure | undefined;

  constructor(files: MemoryFiles) {
    super(100 * GIB);
    this.files = files;
  }

  override async open(request: PoolRequest): Promise<OpenPool> {
    this.requests.push(request);
    if (this.trouble !== undefined) throw this.trouble;
    const opened = await super.open(request);
    await this.files.writeAtomically(request.image, new Uint8Array(), { durable: true });
    await this.files.makeDirectory(request.mountPoint);
    return opened;
  }
}

let files: MemoryFiles;
let pools: FilePools;
let quotas: MemoryQuotas;
let log: ReturnType<typeof openMemoryLog>;
let discarded: string[];

beforeEach(async () => {
  files = new MemoryFiles();
  files.room = { ...files.room, bytesTotal: 100 * GIB };
  pools = new FilePools(files);
  log = openMemoryLog();
  discarded = [];
  await files.makeDirectory(root);
  onFileSystem("it is not XFS");
});

function onFileSystem(condition: keyof typeof quotaRemedies | "limited"): void {
  quotas =
    condition === "limited"
      ? new MemoryQuotas()
      : new MemoryQuotas({ enforced: false, condition, remedy: quotaRemedies[condition] });
  quotas.makeDirectory(root);
}

const open = (settings: Partial<LimitsSettings> = {}) =>
  openLimits(
    { files, quotas, pools, log: log.log, discard: async (at) => void discarded.push(at) },
    {
      root,
      quota: "auto",
      pool: { size: { kind: "percent", percent: 25 }, floor: { kind: "percent", percent: 15 } },
      projects: { base: 1000, count: 10 },
      ...settings,
    },
  );

const warnings = () => log.lines.filter(({ level }) => level === "warn").map((line) => line.message);

async function refusal(settings: Partial<LimitsSettings> = {}): Promise<string> {
  const error: unknown = await open(settings).catch((error: unknown) => error);
  if (!isFailure(error)) throw error;
  return `${error.reason}: ${error.message}`;
}

describe("openLimits()", () => {
  it("takes the root's own limits where it has some, and makes no pool", async () => {
    onFileSystem("limited");
    const { root: store, limits, lacking } = await open();
    expect([store, limits.areEnforced, lacking]).toEqual([root, true, undefined]);
    expect(pools.requests).toEqual([]);
    expect(warnings()).toEqual([]);
  });

  it("makes a pool beside a root without limits, in the share that is set, and puts the store in it", async () => {
    const { root: store, limits, lacking } = await open();
    expect([store, limits.areEnforced, lacking]).toEqual(["/larder/pool", true, undefined]);
    expect(pools.requests).toEqual([
      { image: "/larder/pool.xfs", mountPoint: "/larder/pool", bytes: 25 * GIB, floorBytes: 15 * GIB },
    ]);
    expect(warnings()).toEqual([]);
  });

  it("takes nothing and makes nothing where quota is off", async () => {
    onFileSystem("limited");
    const { root: store, limits, lacking } = await open({ quota: "off" });
    expect([store, limits.areEnforced, lacking]).toEqual([root, false, undefined]);
    expect(pools.requests).toEqual([]);
  });

  it.each([
    ["it is not XFS", "full", "Cannot make the pool: 15 GiB must stay free"],
    ["the kernel has no XFS quotas", "unsupported", "Cannot have a pool: this kernel has no XFS"],
    ["it is mounted without prjquota", "unavailable", 'Cannot start "mkfs.xfs": there is no such program'],
    ["it counts and does not limit", "unsupported", "Cannot attach: the node has no loop devices"],
  ] as const)(
    "goes on without limits, and loudly, on %s without a pool (%s)",
    async (condition, reason, words) => {
      onFileSystem(condition);
      pools.trouble = new Failure(reason, words);
      const { root: store, limits, lacking } = await open();
      expect([store, limits.areEnforced]).toEqual([root, false]);
      expect(lacking).toContain(condition);
      expect(lacking).toContain(words);
      expect(log.lines).toContainEqual(expect.objectContaining({ level: "warn", why: lacking }));
    },
  );

  it.each(["it is not XFS", "it is mounted without prjquota"] as const)(
    "refuses to start where limits are required, naming each condition and its remedy (%s)",
    async (condition) => {
      onFileSystem(condition);
      pools.trouble = new Failure("unavailable", 'Cannot start "mkfs.xfs": there is no such program');
      const told = await refusal({ quota: "required" });
      expect(told).toMatch(/^unsupported: Cannot start with quota "required"/);
      for (const words of [condition, quotaRemedies[condition], "mkfs.xfs", 'set quota to "auto"'])
        expect(told).toContain(words);
    },
  );

  it("lets a bug through", async () => {
    pools.open = async () => await Promise.reject(new TypeError("a bug"));
    await expect(open()).rejects.toThrow(TypeError);
  });

  it.each(["records", "claims"])(
    "leaves no volume behind that a store without a pool has (%s)",
    async (folder) => {
      await files.makeDirectory(`${root}/${folder}`);
      await files.writeAtomically(`${root}/${folder}/v`, new Uint8Array(), { durable: true });
      const { root: store, lacking } = await open();
      expect([store, pools.requests, discarded]).toEqual([root, [], []]);
      expect(lacking).toContain(
        "volumes of this node were made without one and would be left behind (1 of them)",
      );
      expect(await refusal({ quota: "required" })).toContain("once they are deleted, a start makes it");
    },
  );

  it("lets go of a store without volumes once there is a pool, and of nothing else", async () => {
    for (const name of ["records", "claims", "layers", "trees", "heads", "attempts", "trash"])
      await files.makeDirectory(`${root}/${name}`);
    await files.writeAtomically(`${root}/lock`, new Uint8Array(), { durable: true });
    await open();
    expect(discarded.toSorted()).toEqual(
      ["claims", "heads", "layers", "records", "trees"].map((name) => `${root}/${name}`),
    );
  });

  it("lets go of the old store at the next start where this one was cut short", async () => {
    await open();
    await files.makeDirectory(`${root}/layers`);
    expect((await open()).root).toBe("/larder/pool");
    expect(discarded).toEqual(["/larder/layers"]);
  });

  it("finds the store in a pool that is there, whatever the root has become and is set", async () => {
    await open();
    onFileSystem("limited");
    const before = pools.requests.length;
    expect(await open()).toMatchObject({ root: "/larder/pool", limits: { areEnforced: true } });
    const off = await open({ quota: "off" });
    expect([off.root, off.limits.areEnforced, off.lacking]).toEqual(["/larder/pool", false, undefined]);
    expect(pools.requests.length).toBe(before + 2);
  });

  it.each(["auto", "required", "off"] as const)(
    "never begins anew beside a pool that cannot be opened (%s)",
    async (quota) => {
      await open();
      pools.trouble = new Failure("corrupt", "Cannot mount the pool: it is damaged");
      const told = await refusal({ quota });
      expect(told).toContain("corrupt: Cannot start without the pool that the store is in");
      expect(told).toContain("it is damaged. Mend that; or move");
    },
  );

  it("leaves volumes alone that were made outside of a pool that is back, and says so", async () => {
    await open();
    await files.makeDirectory(`${root}/claims`);
    await files.writeAtomically(`${root}/claims/v`, new Uint8Array(), { durable: true });
    expect((await open()).root).toBe("/larder/pool");
    expect(discarded).toEqual([]);
    expect(warnings()).toEqual(["Volumes that were made outside of the pool are left as they are"]);
  });

  it("says that a pool could not grow to what is set", async () => {
    await open({ pool: { size: { kind: "bytes", bytes: GIB }, floor: { kind: "bytes", bytes: GIB } } });
    expect(
      await open({
        pool: { size: { kind: "bytes", bytes: 200 * GIB }, floor: { kind: "bytes", bytes: GIB } },
      }),
    ).toMatchObject({ root: "/larder/pool" });
    expect(warnings()).toEqual(["The pool stays smaller than it is set"]);
  });
});
