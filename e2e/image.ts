// An OCI image layout made by hand: many layers, several platforms behind one index, all of it known content.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };

export type ImageLayout = {
  readonly folder: string;
  readonly tag: string;
  /** Of the index. */
  readonly digest: string;
};

/**
 * Writes `folder` as an OCI image layout whose tag `v1` is an index of linux/amd64 and linux/arm64, each image made of
 * these layers (directories of files) and one that names its platform in `/etc/platform`.
 */
export async function writeImageLayout(folder: string, layers: readonly string[]): Promise<ImageLayout> {
  await mkdir(path.join(folder, "blobs", "sha256"), { recursive: true });
  const shared = [];
  for (const layer of layers) shared.push(await writeLayer(folder, layer));
  const manifests = [];
  for (const architecture of ["amd64", "arm64"]) {
    const own = path.join(folder, `own-${architecture}`);
    await mkdir(path.join(own, "etc"), { recursive: true });
    await writeFile(path.join(own, "etc", "platform"), `linux/${architecture}\n`);
    const all = [...shared, await writeLayer(folder, own)];
    manifests.push({
      ...(await writeManifest(folder, architecture, all)),
      platform: { os: "linux", architecture },
    });
  }
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
  const written = await writeBlob(folder, index.mediaType, Buffer.from(JSON.stringify(index)));
  const named = { ...written, annotations: { "org.opencontainers.image.ref.name": "v1" } };
  await writeFile(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  return { folder, tag: "v1", digest: written.digest };
}

async function writeManifest(
  folder: string,
  architecture: string,
  layers: ReadonlyArray<{ blob: Descriptor; diffId: string }>,
) {
  const config = {
    os: "linux",
    architecture,
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await writeBlob(
      folder,
      "application/vnd.oci.image.config.v1+json",
      Buffer.from(JSON.stringify(config)),
    ),
    layers: layers.map((layer) => layer.blob),
  };
  return await writeBlob(folder, manifest.mediaType, Buffer.from(JSON.stringify(manifest)));
}

async function writeLayer(folder: string, content: string): Promise<{ blob: Descriptor; diffId: string }> {
  const tar = path.join(folder, "layer.tar");
  await execa("tar", [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "-cf",
    tar,
    "-C",
    content,
    ".",
  ]);
  const bytes = await readFile(tar);
  const blob = await writeBlob(
    folder,
    "application/vnd.oci.image.layer.v1.tar+gzip",
    gzipSync(bytes, { level: 1 }),
  );
  return { blob, diffId: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

async function writeBlob(folder: string, mediaType: string, bytes: Buffer): Promise<Descriptor> {
  const hex = createHash("sha256").update(bytes).digest("hex");
  await writeFile(path.join(folder, "blobs", "sha256", hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}
