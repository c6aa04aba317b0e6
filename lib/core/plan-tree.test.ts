import { describe, expect, it } from "vitest";
import { digestOf, hexOf } from "./digest.ts";
import { isFailure, type Reason } from "./failure.ts";
import type { Descriptor, Manifest } from "./manifest.ts";
import { planTree, type Selection } from "./plan-tree.ts";

const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
const TITLE = "org.opencontainers.image.title";
const IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json";

function layer(content: string, mediaType: string, annotations: Record<string, string> = {}): Descriptor {
  return {
    mediaType,
    digest: digestOf(content),
    size: content.length,
    annotations: new Map(Object.entries(annotations)),
  };
}
const titled = (title: string, more: Record<string, string> = {}) =>
  layer(`of ${title}`, OCI_LAYER, { [TITLE]: title, ...more });
const directory = (title: string, more: Record<string, string> = {}) =>
  layer(`of ${title}`, `${OCI_LAYER}+gzip`, {
    [TITLE]: title,
    "io.deis.oras.content.unpack": "true",
    ...more,
  });

function manifestOf(
  layers: readonly Descriptor[],
  configType = "application/vnd.oci.empty.v1+json",
): Manifest {
  return {
    kind: "manifest",
    mediaType: "m",
    config: layer("{}", configType),
    layers,
    annotations: new Map(),
  };
}
const plan = (layers: readonly Descriptor[], selection?: Selection) =>
  planTree(manifestOf(layers), undefined, selection);

function imagePlan(layers: readonly Descriptor[], diffIds: readonly string[], selection?: Selection) {
  const config = new TextEncoder().encode(JSON.stringify({ rootfs: { type: "layers", diff_ids: diffIds } }));
  return planTree(manifestOf(layers, IMAGE_CONFIG), config, selection);
}
const failing = (reason: Reason, ...texts: readonly string[]) =>
  expect.toSatisfy(
    (error) => isFailure(error, reason) && texts.every((text) => error.message.includes(text)),
  );

describe("planTree() on titled files", () => {
  it("makes them one Layer of raw files, though ORAS calls each a tar", () => {
    const files = [titled("a.txt"), titled("d/b.txt")];
    expect(plan(files)).toMatchObject({
      layers: [
        {
          kind: "files",
          files: [
            { path: "a.txt", blob: files[0], mode: 0o644, mtime: 0 },
            { path: "d/b.txt", blob: files[1], mode: 0o644, mtime: 0 },
          ],
        },
      ],
      notes: [],
    });
  });

  it("names the Layer by its files, in whatever order they are listed", () => {
    const id = (...files: readonly Descriptor[]) => plan(files).layers[0]?.id;
    expect(id(titled("a"), titled("b"))).toBe(id(titled("b"), titled("a")));
    expect(id(titled("a"))).not.toBe(id(titled("b")));
    expect(id(titled("a"))).not.toBe(id(titled("a", { "dev.larder.file.mode": "0755" })));
  });

  it.each([
    ["0755", 0o755],
    ["640", 0o640],
    ["0o700", 0o700],
  ])("gives a file the mode %s that its annotation states", (text, mode) => {
    expect(plan([titled("a", { "dev.larder.file.mode": text })])).toMatchObject({
      layers: [{ files: [{ mode }] }],
    });
  });

  it.each(["4755", "rwx", "", "0888"])("refuses the mode %j, setuid or unreadable, quoting it", (mode) => {
    expect(() => plan([titled("a", { "dev.larder.file.mode": mode })])).toThrow(
      failing("invalid", `"${mode}"`),
    );
  });

  it.each([["../x"], ["/x"], ["."], [""], ["a\0"]])("refuses the title %j", (title) => {
    expect(() => plan([titled(title)])).toThrow(
      failing("invalid", `Cannot use the title ${JSON.stringify(title)}`),
    );
  });

  it("refuses the same title twice, and a file where another title needs a directory", () => {
    expect(() => plan([titled("a"), titled("./a")])).toThrow(
      failing("invalid", 'two layers with the title "a"'),
    );
    expect(() => plan([titled("a"), titled("a/b")])).toThrow(failing("invalid", '"a" is a file'));
  });
});

describe("planTree() on titled directories", () => {
  it("unpacks each as an archive whose entries lie under its title", () => {
    const unpacked = digestOf("unpacked");
    const blob = directory("data/set", { "io.deis.oras.content.digest": unpacked });
    expect(plan([blob]).layers).toMatchObject([
      { kind: "archive", blob, root: "data/set", compression: "gzip", diffId: unpacked },
    ]);
  });

  it("takes entries anywhere for the title . that `oras push REPO .` writes", () => {
    expect(plan([directory(".")]).layers).toMatchObject([{ kind: "archive", root: "" }]);
  });

  it("knows zstd by media type, and an archive that is not compressed by its digest", () => {
    const zstd = layer("z", `${OCI_LAYER}+zstd`, { [TITLE]: "z", "io.deis.oras.content.unpack": "true" });
    const plain = directory("p", { "io.deis.oras.content.digest": digestOf("of p") });
    expect(plan([zstd, plain]).layers).toMatchObject([{ compression: "zstd" }, { compression: "none" }]);
  });

  it("puts the files beneath, so that the archive decides what a shared directory is like", () => {
    expect(plan([directory("d"), titled("d/f"), directory("e")]).layers).toMatchObject([
      { kind: "files" },
      { kind: "archive", root: "d" },
      { kind: "archive", root: "e" },
    ]);
  });

  it("refuses a digest of the content that is none", () => {
    expect(() => plan([directory("d", { "io.deis.oras.content.digest": "x" })])).toThrow(
      failing("invalid", '"x"'),
    );
  });
});

describe("planTree() on images", () => {
  const layers = ["a", "b", "c"].map((content) => layer(content, `${OCI_LAYER}+gzip`));
  const diffIds = ["A", "B", "C"].map((content) => digestOf(content));

  it("stacks the layers with the digests of the config", () => {
    expect(imagePlan(layers, diffIds).layers).toMatchObject(
      layers.map((blob, index) => ({ kind: "image", blob, compression: "gzip", diffId: diffIds[index] })),
    );
  });

  it("names a Layer by the chain beneath and including it", () => {
    const [a, b, c] = imagePlan(layers, diffIds).layers.map(({ id }) => id);
    expect(imagePlan(layers.slice(0, 2), diffIds.slice(0, 2)).layers.map(({ id }) => id)).toEqual([a, b]);
    const other = imagePlan(layers.slice(1), diffIds.slice(1)).layers.map(({ id }) => id);
    expect(new Set([a, b, c, ...other]).size).toBe(5);
  });

  it("gives other names where setuid bits are kept", () => {
    const ids = (keepSetuid: boolean) =>
      imagePlan(layers, diffIds, { keepSetuid }).layers.map(({ id }) => id);
    expect(ids(true)).not.toEqual(ids(false));
  });

  it.each([
    [OCI_LAYER, "none"],
    [`${OCI_LAYER}+zstd`, "zstd"],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
    ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ])("knows %s as %s", (mediaType, compression) => {
    expect(imagePlan([layer("a", mediaType)], [digestOf("A")]).layers).toMatchObject([{ compression }]);
  });

  it("is an image by its config though its layer is titled", () => {
    expect(imagePlan([directory(".")], [digestOf("A")]).layers).toMatchObject([{ kind: "image" }]);
  });

  it("is none where the config is one for form's sake", () => {
    expect(
      planTree(manifestOf([titled("a")], IMAGE_CONFIG), new TextEncoder().encode("{}")).layers,
    ).toMatchObject([{ kind: "files" }]);
    expect(imagePlan([layer("w", "application/wasm")], [digestOf("W")]).layers).toMatchObject([
      { kind: "files" },
    ]);
  });

  it.each([
    [diffIds.slice(1), "invalid", "names 2 layers, and the manifest has 3"],
    [["x", "y", "z"], "invalid", '"x"'],
  ] as const)("refuses the digests %j", (ids, reason, why) => {
    expect(() => imagePlan(layers, ids)).toThrow(failing(reason, why));
  });

  it("refuses a config that is no JSON, and a layer that is no archive among those that are", () => {
    const garbage = new Uint8Array([0xff]);
    expect(() => planTree(manifestOf(layers, IMAGE_CONFIG), garbage)).toThrow(failing("corrupt", "not JSON"));
    const mixed = [...layers.slice(1), layer("x", "text/html")];
    expect(() => imagePlan(mixed, diffIds)).toThrow(failing("unsupported", '"text/html"'));
  });
});

describe("planTree() on ModelPack", () => {
  const path = "org.cncf.model.filepath";
  const metadata = (value: unknown) => ({
    "org.cncf.model.file.metadata+json": typeof value === "string" ? value : JSON.stringify(value),
  });

  it("gives raw layers their path, mode and time", () => {
    const raw = layer("w", "application/vnd.cncf.model.weight.v1.raw", {
      [path]: "weights/model.safetensors",
      [TITLE]: "ignored",
      ...metadata({ name: "x", mode: 0o100755, mtime: "2025-03-15T14:30:00.5Z", typeflag: 48 }),
    });
    expect(plan([raw]).layers).toMatchObject([
      { files: [{ path: "weights/model.safetensors", mode: 0o755, mtime: 1_742_049_000 }] },
    ]);
  });

  it("reads the annotations from before the CNCF had it", () => {
    const raw = layer("w", "application/vnd.cnai.model.doc.v1.raw", {
      "org.cnai.model.filepath": "README.md",
      "org.cnai.model.file.metadata+json": JSON.stringify({ mode: 0o600 }),
    });
    expect(plan([raw]).layers).toMatchObject([{ files: [{ path: "README.md", mode: 0o600 }] }]);
  });

  it.each([
    ["tar", "none"],
    ["tar+gzip", "gzip"],
    ["tar+zstd", "zstd"],
  ])("unpacks %s as %s, whose names are whole paths", (suffix, compression) => {
    const blob = layer("w", `application/vnd.cncf.model.weight.v1.${suffix}`, { [path]: "a/b" });
    expect(plan([blob]).layers).toMatchObject([{ kind: "archive", root: "", compression }]);
  });

  it("drops setuid bits, and takes what Go writes for nothing as nothing", () => {
    const raw = (value: unknown) => plan([layer("w", "x.raw", { [path]: "f", ...metadata(value) })]).layers;
    expect(raw({ mode: 0o104755 })).toMatchObject([{ files: [{ mode: 0o755 }] }]);
    expect(raw({ mode: 0, mtime: "0001-01-01T00:00:00Z" })).toMatchObject([
      { files: [{ mode: 0o644, mtime: 0 }] },
    ]);
  });

  it.each(["{", "[]", { mode: -1 }, { mode: "0644" }, { mtime: "yesterday" }, { mtime: 1 }])(
    "refuses the metadata %j, naming the layer",
    (value) => {
      const raw = layer("w", "x.raw", { [path]: "f", ...metadata(value) });
      expect(() => plan([raw])).toThrow(failing("invalid", "org.cncf.model.file.metadata+json", raw.digest));
    },
  );
});

describe("planTree() on other artifacts", () => {
  it("brings a SIF as one file, under its title or as image.sif", () => {
    const sif = "application/vnd.sylabs.sif.layer.v1.sif";
    expect(plan([layer("s", sif, { [TITLE]: "tool.sif" })]).layers).toMatchObject([
      { files: [{ path: "tool.sif" }] },
    ]);
    expect(plan([layer("s", sif)])).toMatchObject({
      layers: [{ files: [{ path: "image.sif" }] }],
      notes: ['The artifact\'s layer without a title is the file "image.sif"'],
    });
    expect(plan([layer("s", sif), layer("t", sif)])).toMatchObject({
      layers: [{ files: [{ path: expect.stringMatching(/^vnd\.sylabs/) }, {}] }],
    });
  });

  it("names untitled layers by media type and digest, and says so", () => {
    const chart = layer("c", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    const name = `vnd.cncf.helm.chart.content.v1.tar+gzip-${hexOf(chart.digest)}`;
    const { layers, notes } = plan([chart, chart]);
    expect(layers).toMatchObject([{ kind: "files", files: [{ path: name }] }]);
    expect(notes).toEqual([`The artifact's layer without a title is the file "${name}"`]);
    expect(plan([chart, layer("p", "application/x"), titled("a")]).notes).toEqual([
      `The artifact's 2 layers without titles are files named by media type and digest, such as "${name}"`,
    ]);
  });

  it("keeps a hostile media type within one name", () => {
    const { layers } = plan([layer("c", `../../${"x".repeat(300)}/\n\0`)]);
    expect(layers).toMatchObject([
      { files: [{ path: expect.stringMatching(/^\.\._\.\._x+-[0-9a-f]{64}$/) }] },
    ]);
  });

  it("refuses an artifact that holds no files rather than mount an empty volume", () => {
    expect(() => plan([])).toThrow(failing("not-found", "holds no files"));
    expect(() => plan([layer("{}", "application/vnd.oci.empty.v1+json")])).toThrow(
      failing("not-found", "no files"),
    );
  });

  it.each([
    ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "encrypted"],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign"],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign"],
  ])("refuses %s by name", (mediaType, why) => {
    const blob = layer("x", mediaType);
    expect(() => plan([blob], { artifact: "r.example/a:b" })).toThrow(
      failing("unsupported", why, mediaType, blob.digest, "r.example/a:b"),
    );
    expect(() => imagePlan([blob, layer("y", OCI_LAYER)], [digestOf("X"), digestOf("Y")])).toThrow(
      failing("unsupported", why),
    );
  });

  it("refuses a layer that lies at a URL", () => {
    expect(() => plan([{ ...titled("a"), urls: ["https://elsewhere.example"] }])).toThrow(
      failing("unsupported", "foreign"),
    );
  });
});

describe("planTree() with a media-type filter", () => {
  it("takes what matches, and leaves what could not be unpacked", () => {
    const layers = [titled("a"), layer("x", "x/y+encrypted", { [TITLE]: "b" })];
    expect(plan(layers, { mediaTypes: [OCI_LAYER] }).layers).toMatchObject([{ files: [{ path: "a" }] }]);
  });

  it("takes some layers of an image under names of their own", () => {
    const layers = [layer("a", `${OCI_LAYER}+gzip`), layer("b", `${OCI_LAYER}+zstd`)];
    const diffIds = [digestOf("A"), digestOf("B")];
    const taken = imagePlan(layers, diffIds, { mediaTypes: [`${OCI_LAYER}+zstd`] }).layers;
    expect(taken).toMatchObject([{ blob: layers[1], diffId: diffIds[1] }]);
    expect(taken[0]?.id).not.toBe(imagePlan(layers, diffIds).layers[1]?.id);
  });

  it("lists what is there when it takes nothing", () => {
    expect(() => plan([titled("a"), layer("x", "x/y", { [TITLE]: "b" })], { mediaTypes: ["z/z"] })).toThrow(
      failing("not-found", '"z/z"', `its layers are ${OCI_LAYER}, x/y`),
    );
  });
});
