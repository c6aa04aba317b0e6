import { describe, expect, it, vi } from "vitest";
import { digestOf } from "../core/digest.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import { publish } from "./publish.ts";
import { stats } from "./stats.ts";
import { arriving, call, podRequest, refusal, root, severalLayers, TestNode } from "./testing/node.ts";
import { unpublish } from "./unpublish.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const published = { records: 1, mounts: 1, directory: true, scratches: 0, limits: 0 };
const nothing = { records: 0, mounts: 0, directory: false, scratches: 0, limits: 0 };

describe("publish()", () => {
  it("binds a single layer read-only, without devices and setuid", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    expect(await node.mounts.at(request.target)).toMatchObject([
      { root: node.layers[0], readOnly: true, noSuid: true, noDev: true },
    ]);
    expect(node.leases).toBe(0);
    expect(node.held.size).toBe(1);
  });

  it("stacks several layers, topmost first", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    const [mount] = await node.mounts.at(request.target);
    expect(mount?.readOnly).toBe(true);
    expect(mount?.options.split(",")).toEqual(severalLayers.map((layer) => `lowerdir+=${layer}`));
  });

  it("labels an overlay with the context where there is one, and a single layer, which has the store's, with none", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const context = "system_u:object_r:container_file_t:s0";
    const asked: (string | undefined)[] = [];
    const mounts = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      overlay: async (request: Parameters<typeof deps.mounts.overlay>[0]) => {
        asked.push(request.context);
        await deps.mounts.overlay(request);
      },
    });
    const single = await podRequest(node);
    await publish({ ...deps, mounts, view: { ...deps.view, context } }, single, call);
    expect(asked).toEqual([]);
    await unpublish(deps, single);
    node.layers = severalLayers;
    await publish({ ...deps, mounts, view: { ...deps.view, context } }, single, call);
    await unpublish(deps, single);
    await publish({ ...deps, mounts }, single, call);
    expect(asked).toEqual([context, undefined]);
  });

  it("asks over the transport that the volume names, an explicit false as well", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const keyring = {
      accessesFor: async ({ host, repository }: { host: string; repository: string }) => [
        { host, repository, plainHttp: true, insecure: true },
      ],
    };
    const said = [["plain-http", "false"] as const, ["insecure", "false"] as const];
    const request = await podRequest(node);
    const attributes = new Map([...request.attributes, ...said]);
    await publish({ ...deps, keyring }, { ...request, attributes }, call);
    expect(node.asked[0]?.accesses).toMatchObject([{ plainHttp: false, insecure: false }]);
    await unpublish(deps, request);
    await publish({ ...deps, keyring }, request, call);
    expect(node.asked[1]?.accesses).toMatchObject([{ plainHttp: true, insecure: true }]);
  });

  it("says pending, and is free for the next call, while credentials are being asked for", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    const asked = Promise.withResolvers<ReadonlyArray<{ host: string; repository: string }>>();
    const keyring = { accessesFor: () => asked.promise };
    const clock = { now: () => 0, pause: async () => undefined };
    const hanging = { ...deps, keyring, clock };
    for (let again = 0; again < 2; again++) {
      const refused = publish(hanging, request, { ...call, deadline: 1_000 });
      await expect(refused).rejects.toEqual(being("pending"));
      await expect(refused).rejects.toThrow("r.example/a:v1: asking the node's credential providers");
    }
    expect(await node.remains(request.target)).toEqual(nothing);
    asked.resolve([{ host: "r.example", repository: "a" }]);
    await publish({ ...deps, keyring }, request, call);
    expect(await node.remains(request.target)).toEqual(published);
    expect(node.asked).toHaveLength(1);
  });

  it("at the target of another volume is a conflict, and that one's mount stays", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const before = await node.mounts.list();
    await expect(publish(deps, { ...request, volumeId: "csi-2" }, call)).rejects.toThrow(
      /"csi-2".*"csi-1" is there; unpublish or unstage that first/,
    );
    expect(await node.mounts.list()).toEqual(before);
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("repeated, mounts nothing again and unmounts nothing, whatever the kubelet's own attributes say", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const before = await node.mounts.list();
    const again = new Map([...request.attributes, ["csi.storage.k8s.io/serviceAccount.tokens", "new"]]);
    await publish(deps, { ...request, attributes: again }, call);
    expect(await node.mounts.list()).toEqual(before);
    expect(node.asked.length).toBe(1);
  });

  it("repeated with other attributes is a conflict, and the mount stays", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const other = new Map([...request.attributes, ["reference", "r.example/b:v1"]]);
    await expect(publish(deps, { ...request, attributes: other }, call)).rejects.toEqual(being("conflict"));
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("says pending with the progress, and the next call mounts", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    node.lease = () => new Promise(() => undefined);
    const impatient = { ...deps, clock: { now: () => 0, pause: async () => undefined } };
    const pending = publish(impatient, request, { ...call, deadline: 1000 });
    await expect(pending).rejects.toEqual(being("pending"));
    await expect(pending).rejects.toThrow("Pulling r.example/a:v1");
    expect(await node.remains(request.target)).toEqual(nothing);
    node.lease = async () => undefined;
    await publish(deps, request, call);
    expect(await node.remains(request.target)).toEqual(published);
  });

  describe("while bytes arrive", () => {
    it("records the volume and makes its target, and mounts once all is here", async () => {
      const node = new TestNode();
      const deps = await node.start();
      const request = await podRequest(node);
      const landed = Promise.withResolvers<void>();
      node.lease = async ({ onArriving }) => {
        onArriving?.(arriving);
        onArriving?.(arriving);
        await landed.promise;
      };
      const publishing = publish(deps, request, call);
      const recorded = { ...published, mounts: 0 };
      await vi.waitFor(async () => expect(await node.remains(request.target)).toEqual(recorded), 20_000);
      expect([...node.held.values()]).toEqual([[arriving.key]]);
      landed.resolve();
      await publishing;
      expect(await node.remains(request.target)).toEqual(published);
      expect(deps.records.at(request.volumeId, request.target)).toMatchObject({
        treeKey: arriving.key,
        digest: arriving.digest,
      });
      expect([...node.held.values()]).toEqual([[arriving.key, digestOf(node.layers[0] ?? "")]]);
    });

    it("writes the Record again where the Tree came out as another one", async () => {
      const node = new TestNode();
      const deps = await node.start();
      const request = await podRequest(node);
      node.lease = async ({ onArriving }) =>
        onArriving?.({ key: digestOf("other"), digest: digestOf("another") });
      await publish(deps, request, call);
      expect(deps.records.at(request.volumeId, request.target)).toMatchObject({
        treeKey: arriving.key,
        digest: arriving.digest,
      });
    });

    it("leaves nothing when it says pending, is refused, or the caller goes away", async () => {
      const leaving = new AbortController();
      const late = {
        now: () => 0,
        pause: async () => await new Promise<void>((resolve) => setImmediate(resolve)),
      };
      const ends = [
        { lease: () => new Promise<void>(() => undefined), call: { ...call, deadline: 1_000 }, clock: late },
        { lease: () => Promise.reject(refusal), call },
        {
          lease: async () => {
            leaving.abort(new Failure("pending", "gone"));
            throw leaving.signal.reason;
          },
          call: { ...call, signal: leaving.signal },
        },
      ];
      for (const { lease, call: asked, ...changed } of ends) {
        const node = new TestNode();
        const deps = { ...(await node.start()), ...changed };
        const request = await podRequest(node);
        node.lease = async ({ onArriving }) => {
          onArriving?.(arriving);
          await lease();
        };
        await expect(publish(deps, request, asked)).rejects.toBeInstanceOf(Failure);
        expect(await node.remains(request.target)).toEqual(nothing);
        expect(node.held.size).toBe(0);
        node.lease = async () => undefined;
        await publish({ ...deps, ...(await node.start()) }, request, call);
        expect(await node.remains(request.target)).toEqual(published);
      }
    });

    it("tells of no room for the Record, and leaves nothing", async () => {
      const node = new TestNode();
      const deps = await node.start();
      const request = await podRequest(node);
      node.files.writeAtomically = () => Promise.reject(new Failure("full", "the file system is full"));
      node.lease = async ({ onArriving }) => onArriving?.(arriving);
      await expect(publish(deps, request, call)).rejects.toEqual(being("full"));
      expect(await node.remains(request.target)).toEqual(nothing);
      expect(node.held.size).toBe(0);
    });

    it("keeps the Record of before as it is, and makes no scratch ready", async () => {
      const node = new TestNode();
      const deps = await node.start();
      const request = await podRequest(node);
      await publish(deps, request, call);
      node.mounts.forget();
      node.lease = async ({ onArriving }) => {
        onArriving?.({ key: digestOf("other"), digest: digestOf("another") });
        throw new Failure("unavailable", "away");
      };
      await expect(publish(deps, request, call)).rejects.toEqual(being("unavailable"));
      expect(deps.records.at(request.volumeId, request.target)).toMatchObject({ treeKey: arriving.key });
      expect(await node.remains(request.target)).toMatchObject({ records: 1, mounts: 0 });
    });
  });

  it("leaves nothing when the artifact is refused", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    node.lease = () => Promise.reject(refusal);
    await expect(publish(await node.start(), request, call)).rejects.toBe(refusal);
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
  });

  it("leaves nothing, and nothing held, when there is no room for the Record", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    const deps = await node.start();
    node.files.writeAtomically = () => Promise.reject(new Failure("full", "the file system is full"));
    await expect(publish(deps, request, call)).rejects.toEqual(being("full"));
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
  });

  it("leaves nothing when the mount fails", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    const mounts = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      bind: () => Promise.reject(new Failure("unavailable", "the kernel has none left")),
    });
    await expect(publish({ ...deps, mounts }, request, call)).rejects.toEqual(being("unavailable"));
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
  });

  it.each([
    [
      "a directory with something in it",
      async (node: TestNode, target: string) => {
        await node.files.makeDirectory(`${target}/precious`);
      },
    ],
    [
      "a file",
      async (node: TestNode, target: string) => {
        await node.files.writeAtomically(target, Buffer.from("x"), { durable: false });
      },
    ],
    [
      "somebody else's mount",
      async (node: TestNode, target: string) => {
        await node.files.makeDirectory(target);
        await node.mounts.bind({
          source: "/else",
          target,
          flags: { readOnly: false, noSuid: false, noDev: false },
        });
      },
    ],
  ])("refuses %s at the target as a conflict and leaves it as it is", async (_what, prepare) => {
    const node = new TestNode();
    const request = await podRequest(node);
    await prepare(node, request.target);
    const before = [await node.mounts.list(), await node.files.list(request.target).catch(() => "a file")];
    await expect(publish(await node.start(), request, call)).rejects.toEqual(being("conflict"));
    expect([await node.mounts.list(), await node.files.list(request.target).catch(() => "a file")]).toEqual(
      before,
    );
    expect(node.held.size).toBe(0);
  });

  it.each([
    [
      "ephemeral without the pod's uid",
      { attributes: new Map([["csi.storage.k8s.io/ephemeral", "true"]]) },
      "pod.uid",
    ],
    [
      "a uid that does not fit the path",
      { target: "/var/lib/kubelet/pods/pod-2/volumes/kubernetes.io~csi/v/mount" },
      "pod-1",
    ],
    [
      "a block device",
      {
        capability: {
          access: "block",
          mode: "single-node-writer",
          fsType: "",
          mountFlags: [],
          mountGroup: "",
        },
      },
      "block",
    ],
    [
      "a mount option",
      {
        capability: {
          access: "mount",
          mode: "single-node-writer",
          fsType: "",
          mountFlags: ["rw"],
          mountGroup: "",
        },
      },
      '"rw"',
    ],
  ] as const)("refuses %s as invalid", async (_what, change, words) => {
    const node = new TestNode();
    const request = await podRequest(node, change);
    const refused = publish(await node.start(), request, call);
    await expect(refused).rejects.toEqual(being("invalid"));
    await expect(refused).rejects.toThrow(words);
  });

  it("shows a PersistentVolume in several pods of the node", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const attributes = new Map([["reference", "r.example/a:v1"]]);
    const one = await podRequest(node, { volumeId: "pv", attributes });
    const two = await podRequest(node, { volumeId: "pv", attributes, target: `${one.target}-2` });
    await publish(deps, one, call);
    await publish(deps, two, call);
    await unpublish(deps, one);
    expect((await node.mounts.at(two.target)).length).toBe(1);
    expect((await node.mounts.at(one.target)).length).toBe(0);
  });

  it("refuses a second call for the volume while one runs", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    const { promise, resolve } = Promise.withResolvers<void>();
    node.lease = () => promise;
    const first = publish(deps, request, call);
    await expect(publish(deps, request, call)).rejects.toEqual(being("busy"));
    await expect(unpublish(deps, request)).rejects.toEqual(being("busy"));
    resolve();
    await first;
  });

  it("gives a pod that lost its mount the content it had", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    node.mounts.forget();
    await publish(await node.start(), request, call);
    expect(node.asked[1]?.reference.digest).toBeDefined();
    expect(await node.remains(request.target)).toEqual(published);
  });
});

describe("publish() to a pod that lost its mount", () => {
  it.each(["unavailable", "full"] as const)("keeps what it had while that is %s", async (reason) => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    node.mounts.forget();
    const deps = await node.start();
    node.lease = () => Promise.reject(new Failure(reason, "not now"));
    await expect(publish(deps, request, call)).rejects.toEqual(being(reason));
    node.lease = async () => undefined;
    await publish(deps, request, call);
    expect(node.asked.at(-1)?.reference.digest).toBeDefined();
  });

  it("forgets what it had once that is gone for good", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    node.mounts.forget();
    const deps = await node.start();
    node.lease = () => Promise.reject(refusal);
    await expect(publish(deps, request, call)).rejects.toBe(refusal);
    expect(await node.remains(request.target)).toMatchObject({ records: 0, mounts: 0 });
    expect(node.held.size).toBe(0);
  });
});

describe("unpublish()", () => {
  it("leaves nothing, and is fine with a volume that is unknown", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    await unpublish(deps, request);
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
    await unpublish(deps, request);
    await unpublish(deps, { volumeId: "never seen", target: "/nowhere/at/all" });
  });

  it("takes stacked mounts of ours away, Record or not", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const { target, volumeId } = await podRequest(node);
    await node.files.makeDirectory(target);
    const bind = {
      source: node.layers[0] ?? "",
      target,
      flags: { readOnly: true, noSuid: true, noDev: true },
    };
    await node.mounts.bind(bind);
    await node.mounts.bind(bind);
    await unpublish(deps, { volumeId, target });
    expect(await node.remains(target)).toEqual(nothing);
  });

  it("knows an overlay of ours whose options show no path, as kernels before 6.8 have it", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const older = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      at: async (target: string) =>
        (await deps.mounts.at(target)).map((entry) => ({
          ...entry,
          options: "ro,lowerdir=/proc/self/fd/20:/proc/self/fd/21",
        })),
    });
    await publish({ ...deps, mounts: older }, request, call);
    expect(await node.remains(request.target)).toEqual(published);
    await unpublish({ ...deps, mounts: older }, request);
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("keeps the Record while the mount is busy", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const busy = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      unmount: () => Promise.reject(new Failure("in-use", "busy")),
    });
    await expect(unpublish({ ...deps, mounts: busy }, request)).rejects.toEqual(being("in-use"));
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("of a volume at another's target leaves that one's mount and Record, and says so in the log", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    await unpublish(deps, { volumeId: "csi-2", target: request.target });
    expect(await node.remains(request.target)).toEqual(published);
    expect(node.log.lines).toContainEqual(
      expect.objectContaining({ level: "warn", volume: "csi-2", path: request.target, other: "csi-1" }),
    );
    await unpublish(deps, request);
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("never touches somebody else's mount or files", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const { target, volumeId } = await podRequest(node);
    await node.files.makeDirectory(`${target}/precious`);
    await expect(unpublish(deps, { volumeId, target })).rejects.toEqual(being("conflict"));
    expect((await node.files.list(target)).length).toBe(1);
    const flags = { readOnly: false, noSuid: false, noDev: false };
    await node.mounts.bind({ source: "/else", target, flags });
    await expect(unpublish(deps, { volumeId, target })).rejects.toEqual(being("conflict"));
    expect((await node.mounts.at(target)).length).toBe(1);
  });
});

describe("stats()", () => {
  it("tells the size of what is published, and not-found for anything else", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await podRequest(node);
    await publish(deps, request, call);
    const trees = { sizeOf: () => ({ bytes: 4096, inodes: 3 }) };
    expect(await stats({ ...deps, trees }, { volumeId: request.volumeId, path: request.target })).toEqual({
      bytes: { total: 4096, used: 4096, available: 0 },
      inodes: { total: 3, used: 3, available: 0 },
    });
    for (const wrong of [
      { volumeId: "x", path: request.target },
      { volumeId: request.volumeId, path: "some/path" },
    ]) {
      await expect(stats({ ...deps, trees }, wrong)).rejects.toEqual(being("not-found"));
    }
  });
});

describe("a stop after each step", () => {
  it.each(["publish", "publish beside its pull", "unpublish"] as const)(
    "of %s: recover, call again, same end",
    async (journey) => {
      for (let stop = 0; ; stop++) {
        const node = new TestNode();
        if (journey === "publish beside its pull")
          node.lease = async ({ onArriving }) => onArriving?.(arriving);
        const request = await podRequest(node);
        if (journey === "unpublish") await publish(await node.start(), request, call);
        const deps = await node.start();
        const before = node.effects;
        node.stopAfter = before + stop;
        const work = (with_: typeof deps) =>
          journey === "unpublish" ? unpublish(with_, request) : publish(with_, request, call);
        const isDone = await work(deps).then(
          () => true,
          () => false,
        );
        node.stopAfter = undefined;
        await work(await node.start());
        expect(await node.remains(request.target)).toEqual(journey === "unpublish" ? nothing : published);
        if (isDone) {
          expect(stop).toBeGreaterThan(2);
          return;
        }
      }
    },
  );

  it("of publish: recover and unpublish leaves nothing", async () => {
    for (let stop = 0; stop < 6; stop++) {
      const node = new TestNode();
      const request = await podRequest(node);
      const deps = await node.start();
      node.stopAfter = node.effects + stop;
      await publish(deps, request, call).catch(() => undefined);
      node.stopAfter = undefined;
      await unpublish(await node.start(), request);
      expect(await node.remains(request.target)).toEqual(nothing);
    }
  });
});

describe("recover()", () => {
  it("removes the Record and the mount of a pod that is gone, and keeps those of one that is there", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const here = await podRequest(node);
    await publish(deps, here, call);
    const gone = await podRequest(node, {
      volumeId: "csi-2",
      target: "/var/lib/kubelet/pods/pod-2/volumes/kubernetes.io~csi/vol/mount",
      attributes: new Map([...here.attributes, ["csi.storage.k8s.io/pod.uid", "pod-2"]]),
    });
    await publish(deps, gone, call);
    for (let at = gone.target; !at.endsWith("/pods"); at = at.slice(0, at.lastIndexOf("/"))) {
      await node.files.removeEmptyDirectory(at);
    }
    await node.start();
    expect((await node.mounts.at(gone.target)).length).toBe(0);
    expect(await node.remains(here.target)).toEqual(published);
  });

  it("keeps the volume of a pod whose directory cannot be looked at: only its absence lets it go", async () => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    const list = node.files.list.bind(node.files);
    node.files.list = async (at) => {
      if (at.endsWith("/pods/pod-1")) throw new Failure("unavailable", "the disk does not answer");
      return await list(at);
    };
    await node.start();
    node.files.list = list;
    expect(await node.remains(request.target)).toEqual(published);
  });

  it.each([
    ["empty", ""],
    ["of zeros", "\0\0\0"],
  ])("removes a Record that a power loss left %s", async (_what, torn) => {
    const node = new TestNode();
    const request = await podRequest(node);
    await publish(await node.start(), request, call);
    const [{ name } = { name: "" }] = await node.files.list(`${root}/records`);
    await node.files.writeAtomically(`${root}/records/${name}`, Buffer.from(torn), { durable: false });
    node.mounts.forget();
    const deps = await node.start();
    expect(await node.files.list(`${root}/records`)).toEqual([]);
    expect(node.log.lines.filter(({ level }) => level === "error")).toEqual([]);
    await publish(deps, request, call);
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("leaves a Record that cannot be read, and says so", async () => {
    const node = new TestNode();
    await node.start();
    await node.files.writeAtomically(`${root}/records/odd`, Buffer.from('{"version":9}'), { durable: false });
    await node.start();
    expect((await node.files.list(`${root}/records`)).length).toBe(1);
    expect(node.log.lines.some(({ level }) => level === "error")).toBe(true);
  });
});
