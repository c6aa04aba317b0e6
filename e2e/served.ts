// Artifacts for the registry double: made here, known to the last byte, and served without a push.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import type { RegistryDouble } from "../testing/registry-double.ts";

/** Contents by path. */
export type Contents = Readonly<Record<string, string | Uint8Array>>;

/** A reference to titled files under a tag. */
export function serveFiles(registry: RegistryDouble, tag: string, contents: Contents): string {
  const layers = Object.entries(contents).map(([title, content]) => ({
    mediaType: "application/octet-stream",
    ...registry.blob(content),
    annotations: { "org.opencontainers.image.title": title },
  }));
  return serve(registry, tag, {
    artifactType: "application/vnd.larder.test",
    config: { mediaType: "application/vnd.oci.empty.v1+json", ...registry.blob("{}") },
    layers,
  });
}

/** A reference to an image under a tag, bottom layer first. */
export async function serveImage(
  registry: RegistryDouble,
  tag: string,
  layers: readonly Contents[],
): Promise<string> {
  const archives = await Promise.all(layers.map(pack));
  const config = {
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    config: {},
    rootfs: { type: "layers", diff_ids: archives.map((archive) => `sha256:${sha256(archive)}`) },
  };
  return serve(registry, tag, {
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      ...registry.blob(JSON.stringify(config)),
    },
    layers: archives.map((archive) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      ...registry.blob(gzipSync(archive, { level: 1 })),
    })),
  });
}

function serve(registry: RegistryDouble, tag: string, manifest: object): string {
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  registry.manifest(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest }), { tags: [tag] });
  return `${registry.host}/team/store:${tag}`;
}

async function pack(contents: Contents): Promise<Buffer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-layer-"));
  try {
    for (const [name, content] of Object.entries(contents)) {
      await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
      await writeFile(path.join(folder, name), content);
    }
    const options = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    const { stdout } = await execa("tar", [...options, "-cf", "-", "-C", folder, "."], {
      encoding: "buffer",
    });
    return Buffer.from(stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
