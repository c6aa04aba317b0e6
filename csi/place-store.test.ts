// Where SELinux is on. No kernel of ours has it: the labels' effect was never seen, what is done for it is tested here.
import { beforeEach, describe, expect, it } from "vitest";
import { Failure, isFailure } from "../lib/core/failure.ts";
import { MemoryFiles } from "../lib/host/files.fake.ts";
import { openMemoryLog } from "../lib/host/log.fake.ts";
import { MemoryPools } from "../lib/host/pool.fake.ts";
import { MemoryQuotas } from "../lib/host/quotas.fake.ts";
import { quotaRemedies } from "../lib/host/quotas.ts";
import { MemorySelinux } from "../lib/host/selinux.fake.ts";
import { parseNode } from "../lib/settings/node.ts";
import { placeStore } from "./place-store.ts";

const GIB = 2 ** 30;
const label = "system_u:object_r:container_file_t:s0";

let files: MemoryFiles;
let selinux: MemorySelinux;
let log: ReturnType<typeof openMemoryLog>;
/** What is in the store's directory when it gets its label. */
let found: Map<string, Promise<readonly string[]>>;

beforeEach(async () => {
  files = new MemoryFiles();
  files.room = { ...files.room, bytesTotal: 100 * GIB };
  await files.makeDirectory("/larder");
  log = openMemoryLog();
  found = new Map();
  selinux = new MemorySelinux();
  selinux.onLabel = (at) => {
    const names = files.list(at).catch(() => []);
    found.set(
      at,
      names.then((entries) => entries.map(({ name }) => name)),
    );
  };
});

async function place(settings = "") {
  const condition = "it is not XFS";
  const quotas = new MemoryQuotas({ enforced: false, condition, remedy: quotaRemedies[condition] });
  quotas.makeDirectory("/larder");
  const remover = {
    removeTree: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const ports = { files, quotas, pools: new MemoryPools(100 * GIB), selinux, log: log.log, remover };
  const environment = { LARDER_NODE: "node-1", LARDER_ROOT: "/larder" };
  return await placeStore(parseNode(settings, environment), ports);
}

const labelled = () => log.lines.filter(({ message }) => message.startsWith("Labelled"));

describe("placeStore() where SELinux is on", () => {
  it("labels the root before anything is stored in it, and says so", async () => {
    expect((await place("quota: off")).root).toBe("/larder");
    expect([...selinux.labels]).toEqual([["/larder", label]]);
    // The trash is made first, since what an earlier start left may have to go; nothing in it is ever mounted.
    expect(await found.get("/larder")).toEqual(["trash"]);
    expect(labelled()).toMatchObject([{ level: "info", context: label }]);
  });

  it("labels the pool, which is another file system, before anything is in it", async () => {
    expect((await place()).root).toBe("/larder/pool");
    expect([...selinux.labels]).toEqual([["/larder/pool", label]]);
    expect(await found.get("/larder/pool")).toEqual([]);
  });

  it("labels by the setting, at every start", async () => {
    const settings = 'quota: off\nselinux: { context: "u:r:t:s0:c1" }';
    for (const _start of [1, 2]) {
      selinux.labels.clear();
      await place(settings);
      expect([...selinux.labels]).toEqual([["/larder", "u:r:t:s0:c1"]]);
    }
  });

  it.each([
    ["that is none", () => place('quota: off\nselinux: { context: "container_file_t" }'), "container_file_t"],
    [
      "that the disk cannot keep",
      () => {
        selinux.trouble = new Failure("unsupported", 'Cannot label "/larder": put the root on ext4 or XFS');
        return place("quota: off");
      },
      "put the root on",
    ],
  ])("refuses to start with a label %s, and tells why", async (_what, start, told) => {
    const error: unknown = await start().catch((error: unknown) => error);
    expect(isFailure(error)).toBe(true);
    expect(String(error)).toContain(told);
    expect(labelled()).toEqual([]);
  });
});

describe("placeStore() where SELinux is off", () => {
  it("labels nothing", async () => {
    selinux.isOn = false;
    selinux.trouble = new Failure("unsupported", "it would not go");
    await place("quota: off");
    expect([selinux.labels.size, found.size, labelled()]).toEqual([0, 0, []]);
  });
});
