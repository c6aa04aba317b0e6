import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { parseNode } from "./node.ts";
import { parseVolume } from "./volume.ts";

const node = parseNode(
  "registries: [{ match: lax.example, allowPlainHttp: true, allowInsecure: true }, { match: plain.example, plainHttp: true }]",
  { LARDER_NODE: "n" },
);
const reference = "r.example/a:b";
const parse = (attributes: Record<string, string>) => parseVolume(new Map(Object.entries(attributes)), node);

function problemsOf(attributes: Record<string, string>): string {
  try {
    parse(attributes);
  } catch (error) {
    if (isFailure(error, "invalid")) return error.message;
    throw error;
  }
  return "";
}

describe("parseVolume()", () => {
  it("needs nothing but a reference", () => {
    expect(parse({ reference })).toEqual({
      reference: { host: "r.example", repository: "a", tag: "b" },
      layout: "overlay",
    });
  });

  it("reads every attribute", () => {
    expect(
      parse({
        reference: "lax.example/a",
        "pull-policy": "Never",
        "media-types": "a/b, application/vnd.x.y+gzip",
        platform: "linux/aarch64",
        layout: "copy",
        "plain-http": "true",
        insecure: "True",
      }),
    ).toEqual({
      reference: { host: "lax.example", repository: "a", tag: "latest" },
      pullPolicy: "Never",
      mediaTypes: ["a/b", "application/vnd.x.y+gzip"],
      platform: { os: "linux", architecture: "arm64" },
      layout: "copy",
      plainHttp: true,
      insecure: true,
    });
  });

  it("reads the attributes of csi-driver-oras", () => {
    expect(
      parse({
        "oras.artifact.reference": "lax.example/a",
        "oras.artifact.layers.mediatype": "a/b,c/d",
        "oras.options.pullalways": "true",
        "oras.options.plainhttp": "true",
        "oras.options.insecure": "true",
        "oras.options.concurrency": "4",
      }),
    ).toMatchObject({ mediaTypes: ["a/b", "c/d"], pullPolicy: "Always", plainHttp: true, insecure: true });
    expect(parse({ reference, "oras.options.pullalways": "false" }).pullPolicy).toBe("IfNotPresent");
  });

  it("leaves Kubernetes' own keys alone", () => {
    expect(
      parse({
        reference,
        "csi.storage.k8s.io/pod.uid": "1",
        "csi.storage.k8s.io/ephemeral": "true",
        "storage.kubernetes.io/csiProvisionerIdentity": "x",
      }).layout,
    ).toBe("overlay");
  });

  it("tells every problem at once", () => {
    const told = problemsOf({
      refrence: "x",
      platform: "linux",
      layout: "flat",
      insecure: "maybe",
      size: "some",
    });
    for (const problem of [
      '"refrence" is unknown; the nearest is "reference"',
      "reference is missing",
      'platform: Cannot read the platform "linux"',
      'layout "flat" is refused',
      'insecure: Cannot read "maybe" as a switch',
      "size: Cannot read",
    ]) {
      expect(told).toContain(problem);
    }
  });

  it.each([
    [{}, "reference is missing"],
    [{ reference: "nginx" }, 'Cannot read the reference "nginx"'],
    [{ reference, pullPolicy: "Always" }, '"pullPolicy" is unknown; the nearest is "pull-policy"'],
    [{ reference, "pull-policy": "always" }, 'pull-policy "always" is refused'],
    [{ reference, "oras.options.pullalways": "often" }, 'pull-policy "often" is refused'],
    [{ reference, "media-types": "a/b,,c/d" }, 'the media type ""'],
    [{ reference, "media-types": "" }, 'the media type ""'],
    [{ reference, __proto__x: "" }, '"__proto__x" is unknown'],
    [{ reference, cache: "npm" }, '"cache" is unknown'],
    [{ reference, "": "x" }, '"" is unknown'],
    [
      { reference, "oras.artifact.reference": "r.example/c" },
      '"reference" and "oras.artifact.reference" contradict',
    ],
    [{ reference, "oras.options.pullalways": "true", "pull-policy": "Never" }, "contradict each other"],
    [{ reference, "plain-http": "true" }, '"plain-http" is not allowed for r.example; ask'],
    [{ reference, insecure: "1" }, '"insecure" is not allowed for r.example; ask'],
    [{ reference: "plain.example/a", insecure: "true" }, '"insecure" is not allowed for plain.example'],
  ] as ReadonlyArray<readonly [Record<string, string>, string]>)("refuses %j", (attributes, problem) => {
    expect(problemsOf(attributes)).toContain(problem);
  });

  it("takes a key such as __proto__ for an unknown name", () => {
    expect(() =>
      parseVolume(
        new Map([
          ["reference", reference],
          ["__proto__", "x"],
        ]),
        node,
      ),
    ).toThrow('"__proto__" is unknown');
    expect(() =>
      parseVolume(
        new Map([
          ["reference", reference],
          ["constructor", "x"],
        ]),
        node,
      ),
    ).toThrow("is unknown");
  });

  it("takes what is said twice alike, and what is so anyway", () => {
    expect(
      parse({ reference, "oras.artifact.reference": reference, writable: "false", size: "1Gi" }).layout,
    ).toBe("overlay");
    expect(parse({ reference: "plain.example/a", "plain-http": "true" }).plainHttp).toBe(true);
    expect(parse({ reference: "localhost:5000/a", "plain-http": "true" }).plainHttp).toBe(true);
    expect(parse({ reference, "plain-http": "false", insecure: "f" })).toMatchObject({
      plainHttp: false,
      insecure: false,
    });
  });

  describe("where inline volumes may be written to", () => {
    const inline = { maxSizeBytes: 10 * 2 ** 30 };
    const parse = (attributes: Record<string, string>) =>
      parseVolume(new Map(Object.entries({ reference, ...attributes })), { registries: [], inline });

    it("gives one that asks for it a layer of its own", () => {
      expect(parse({ writable: "true" }).scratch).toEqual({ bytes: 2 ** 30, inodes: 2 ** 18 });
      expect(
        parse({ writable: "true", size: "2Gi", inodes: "500", uid: "0", gid: "7", mode: "0770" }).scratch,
      ).toEqual({ bytes: 2 ** 31, inodes: 500, uid: 0, gid: 7, mode: 0o770 });
    });

    it("gives others none", () => {
      expect(parse({}).scratch).toBeUndefined();
      expect(parse({ writable: "false", size: "1Gi" }).scratch).toBeUndefined();
    });

    it.each([
      [{ size: "2Gi" }, '"size" is for writable volumes'],
      [{ uid: "0", mode: "700" }, '"mode" is for writable volumes'],
      [{ writable: "true", size: "11Gi" }, "size 11 GiB is more than this node gives"],
      [{ writable: "true", size: "1k" }, "too small"],
      [{ writable: "perhaps" }, 'writable: Cannot read "perhaps" as a switch'],
      [{ writable: "true", sise: "1Gi" }, 'the nearest is "size"'],
    ] as ReadonlyArray<readonly [Record<string, string>, string]>)("refuses %j", (attributes, problem) => {
      expect(() => parse(attributes)).toThrow(problem);
    });
  });
});
