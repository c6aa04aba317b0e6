// What a registry says an Artifact is made of: the parsed forms of OCI and Docker manifests.
import type { Digest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** One blob or manifest, as another manifest names it. */
export type Descriptor = {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations: ReadonlyMap<string, string>;
  readonly artifactType?: string;
  readonly platform?: Platform;
  /** Where a foreign layer would have to be fetched from. */
  readonly urls?: readonly string[];
};

export type Manifest = {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
};

export type Index = {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
};
