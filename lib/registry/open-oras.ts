// The client over the ORAS CLI, put together.
import type { Oras } from "./oras.ts";
import { openArtifacts } from "./oras-artifacts.ts";
import { openBlobs } from "./oras-blobs.ts";
import type { OrasDeps } from "./oras-command.ts";
import { openManifests } from "./oras-manifests.ts";

export function openOras(deps: OrasDeps): Oras {
  return { ...openManifests(deps), ...openBlobs(deps), ...openArtifacts(deps) };
}
