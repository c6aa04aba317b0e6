import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { parseClaim, parseClass, parseModification } from "./claim.ts";
import { parseNode } from "./node.ts";

const node = parseNode("registries: [{ match: lax.example, allowPlainHttp: true, allowInsecure: true }]", {
  LARDER_NODE: "n",
});
const repository = "r.example/caches/${namespace}/${cache}";
const metadata = {
  "csi.storage.k8s.io/pvc/name": "work",
  "csi.storage.k8s.io/pvc/namespace": "team-a",
  "csi.storage.k8s.io/pv/name": "pvc-1",
};
type Texts = Record<string, string>;
const toMap = (texts: Texts) => new Map(Object.entries(texts));
const parse = (parameters: Texts, mutable: Texts = {}) =>
  parseClaim(toMap({ ...metadata, ...parameters }), toMap(mutable), node);

function problemsOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isFailure(error, "invalid")) return error.message;
    throw error;
  }
  return "";
}

describe("parseClaim()", () => {
  it("needs nothing", () => {
    expect(parse({})).toEqual({
      settings: {
        whenUnknown: "skip",
        failOnMiss: false,
        baseDeadlineMs: 300_000,
        format: "delta",
        compare: "content",
        layout: "overlay",
        durability: "normal",
        versions: 5,
        quota: "auto",
        devices: false,
      },
      terms: { policy: "pull-push", when: "success", onPushFailure: "drop", pushDeadlineMs: 86_400_000 },
    });
  });

  it("reads every parameter", () => {
    const parameters = {
      from: "lax.example/seed:v1",
      cache: "npm_x",
      key: "main/1.2",
      "restore-keys": "main/, v1\nm",
      repository: "lax.example/c/${namespace}/${cache}/x",
      policy: "push",
      when: "always",
      "when-unknown": "push",
      "fail-on-miss": "true",
      "base-deadline": "30s",
      format: "portable",
      compare: "exact",
      layout: "copy",
      durability: "volatile",
      versions: "7",
      "max-size": "3Gi",
      "on-push-failure": "keep",
      "push-deadline": "1h",
      "pull-policy": "Never",
      "media-types": "a/b,c/d",
      platform: "linux/aarch64",
      "plain-http": "true",
      insecure: "1",
      quota: "required",
      inodes: "1000",
      uid: "0",
      gid: "1000",
      mode: "2775",
      devices: "true",
    };
    expect(parse(parameters)).toEqual({
      settings: {
        from: { host: "lax.example", repository: "seed", tag: "v1" },
        cache: {
          host: "lax.example",
          repository: "c/team-a/npm_x/x",
          key: "main/1.2",
          restoreKeys: ["main/", "v1", "m"],
        },
        whenUnknown: "push",
        failOnMiss: true,
        baseDeadlineMs: 30_000,
        format: "portable",
        compare: "exact",
        layout: "copy",
        durability: "volatile",
        versions: 7,
        maxSizeBytes: 3 * 2 ** 30,
        pullPolicy: "Never",
        mediaTypes: ["a/b", "c/d"],
        platform: { os: "linux", architecture: "arm64" },
        plainHttp: true,
        insecure: true,
        quota: "required",
        inodes: 1000,
        uid: 0,
        gid: 1000,
        mode: 0o2775,
        devices: true,
      },
      terms: { policy: "push", when: "always", onPushFailure: "keep", pushDeadlineMs: 3_600_000 },
    });
  });

  it("reads the names that others gave things", () => {
    const parameters = { "k8storagex.mgoltzsche.github.com/cache-name": "go", repository };
    expect(parse(parameters).settings.cache).toEqual({
      host: "r.example",
      repository: "caches/team-a/go",
      key: "latest",
      restoreKeys: [],
    });
    expect(parse({ "oras.options.pullalways": "true" }).settings.pullPolicy).toBe("Always");
  });

  it("lets mutable parameters count before the class's", () => {
    expect(
      parse({ policy: "pull", when: "always" }, { policy: "discard", "push-deadline": "0" }).terms,
    ).toEqual({ policy: "discard", when: "always", onPushFailure: "drop", pushDeadlineMs: 0 });
  });

  it("needs no namespace for a repository without one", () => {
    const cache = { cache: "npm", repository: "r.example/c/${cache}" };
    expect(parseClaim(toMap(cache), new Map(), node).settings.cache?.repository).toBe("c/npm");
    expect(problemsOf(() => parseClaim(toMap({ cache: "npm", repository }), new Map(), node))).toContain(
      "--extra-create-metadata",
    );
  });

  it("tells every problem at once", () => {
    const told = problemsOf(() =>
      parse(
        { polcy: "pull", cache: "N", format: "zip", versions: "0", "base-deadline": "soon", mode: "999" },
        { when: "later", format: "delta", outcome: "success" },
      ),
    );
    for (const problem of [
      '"polcy" is unknown; the nearest is "policy"',
      'cache: Cannot use the cache "N"',
      'format "zip" is refused',
      'versions: Cannot use the number "0": write 1 to 10000',
      'base-deadline: Cannot read the time "soon"',
      'mode: Cannot read the mode "999"',
      'when "later" is refused',
      '"format" is unknown',
    ]) {
      expect(told).toContain(problem);
    }
  });

  it.each([
    [{ cache: "npm" }, '"cache" has nowhere to live'],
    [{ cache: "../other", repository }, 'Cannot use the cache "../other"'],
    [{ cache: "a/b", repository }, 'Cannot use the cache "a/b"'],
    [{ repository: "r.example/caches/${namespace}" }, "without ${cache} all caches would be one"],
    [{ repository: "r.example/team-${namespace}/${cache}" }, '"team-${namespace}" is neither'],
    [{ repository: "r.example/${user}/${cache}" }, '"${user}" is neither'],
    [{ repository: "${namespace}.example/${cache}" }, "its host cannot vary"],
    [{ repository: "r.example/${cache}:v1" }, '"${cache}:v1" is neither'],
    [{ repository: "r.example/a:1/${cache}" }, "it names a tag or digest"],
    [{ repository: "caches/${cache}" }, '"caches" is not a registry host'],
    [{ repository: "r.example/UP/${cache}" }, "is not a repository name"],
    [{ cache: "x".repeat(100), repository: `r.example/${"y".repeat(200)}/\${cache}` }, "repository: Cannot"],
    [
      { cache: "c", repository, "csi.storage.k8s.io/pvc/namespace": "team-a/caches" },
      'Cannot have a cache in the namespace "team-a/caches"',
    ],
    [{ key: "a,b" }, 'Cannot use the key "a,b"'],
    [{ key: "" }, 'Cannot use the key ""'],
    [{ from: "nginx" }, 'Cannot read the reference "nginx"'],
    [{ reference: "r.example/a" }, '"reference" is unknown'],
    [{ writable: "true" }, '"writable" is unknown'],
    [{ uid: "-1" }, 'Cannot use the number "-1"'],
    [{ uid: "4294967295" }, 'Cannot use the number "4294967295"'],
    [{ inodes: "1e3" }, 'Cannot use the number "1e3"'],
    [{ "max-size": "big" }, 'max-size: Cannot read the size "big"'],
    [{ from: "r.example/a", "plain-http": "true" }, '"plain-http" is not allowed for r.example'],
    [{ cache: "c", repository, insecure: "true" }, '"insecure" is not allowed for r.example'],
    [
      { from: "lax.example/a", cache: "c", repository, insecure: "true" },
      '"insecure" is not allowed for r.example',
    ],
    [{ "fail-on-miss": "true" }, "there is none to read"],
    [{ "fail-on-miss": "true", cache: "c", repository, policy: "push" }, "there is none to read"],
    [{ cache: "a", repository, "k8storagex.mgoltzsche.github.com/cache-name": "b" }, "contradict each other"],
    [{ ["__proto__x"]: "1" }, '"__proto__x" is unknown'],
  ] as ReadonlyArray<readonly [Texts, string]>)("refuses %j", (parameters, problem) => {
    expect(problemsOf(() => parse(parameters))).toContain(problem);
  });

  it("refuses an outcome before there is one", () => {
    expect(problemsOf(() => parse({}, { outcome: "success" }))).toContain('"outcome" cannot be said before');
    expect(problemsOf(() => parse({ outcome: "success" }))).toContain('"outcome" is unknown');
  });

  it("takes a base from anywhere for fail-on-miss", () => {
    expect(parse({ "fail-on-miss": "true", cache: "c", repository }).settings.failOnMiss).toBe(true);
    expect(parse({ "fail-on-miss": "true", from: "r.example/a" }).settings.failOnMiss).toBe(true);
  });
});

describe("parseClass()", () => {
  it("checks a class without a claim, as GetCapacity asks", () => {
    const parameters = toMap({ cache: "npm", repository, quota: "required" });
    expect(parseClass(parameters, node)).toMatchObject({ quota: "required" });
    expect(parseClass(parameters, node).cache).toBeUndefined();
    expect(problemsOf(() => parseClass(toMap({ qota: "x" }), node))).toContain('the nearest is "quota"');
  });
});

describe("parseModification()", () => {
  it("reads what may change, and nothing that was not said", () => {
    expect(parseModification(new Map())).toEqual({ terms: {} });
    expect(
      parseModification(
        toMap({
          policy: "discard",
          when: "always",
          "on-push-failure": "keep",
          "push-deadline": "2h",
          outcome: "failure",
        }),
      ),
    ).toEqual({
      terms: { policy: "discard", when: "always", onPushFailure: "keep", pushDeadlineMs: 7_200_000 },
      outcome: "failure",
    });
  });

  it.each([
    [{ cache: "other" }, '"cache" is unknown'],
    [{ polici: "pull" }, 'the nearest is "policy"'],
    [{ policy: "none" }, 'policy "none" is refused'],
    [{ outcome: "maybe", "push-deadline": "x" }, 'outcome "maybe" is refused'],
    [{ outcome: "maybe", "push-deadline": "x" }, 'Cannot read the time "x"'],
  ] as ReadonlyArray<readonly [Texts, string]>)("refuses %j, and with it all", (mutable, problem) => {
    expect(problemsOf(() => parseModification(toMap({ when: "always", ...mutable })))).toContain(problem);
  });
});
