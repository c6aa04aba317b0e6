// Claims as a provisioner and the kubelet ask for them: the calls of one volume, from its creation to its end.
import path from "node:path";
import type { CsiError } from "../../e2e/client.ts";
import type { Plugin } from "../../e2e/plugin.ts";

export type Parameters = Readonly<Record<string, string>>;

/** One claim; each call is repeated while the answer is that it is still going on. */
export type Claim = {
  readonly id: string;
  readonly target: string;
  readonly stage: () => Promise<void>;
  readonly publish: () => Promise<void>;
  readonly unpublish: () => Promise<void>;
  readonly unstage: () => Promise<void>;
  readonly remove: () => Promise<void>;
};

const GIB = 2 ** 30;
const capability = { mount: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } };

let count = 0;

/** CreateVolume; nothing is mounted yet. */
async function createClaim(plugin: Plugin, parameters: Parameters): Promise<Claim> {
  const name = `pvc-${process.pid}-${++count}`;
  const { volume } = await insist(plugin, "Controller", "CreateVolume", {
    name,
    capacity_range: { required_bytes: 2 * GIB },
    volume_capabilities: [capability],
    parameters,
  });
  const id = (volume as { volume_id: string }).volume_id;
  const { target } = await plugin.target(undefined, name);
  const staging = path.join(plugin.folder, "staging", name, "globalmount");
  const node = async (method: string, request: object) => {
    await insist(plugin, "Node", method, { volume_id: id, ...request });
  };
  const staged = { staging_target_path: staging, volume_capability: capability };
  return {
    id,
    target,
    stage: () => node("NodeStageVolume", staged),
    publish: () => node("NodePublishVolume", { ...staged, target_path: target }),
    unpublish: () => node("NodeUnpublishVolume", { target_path: target }),
    unstage: () => node("NodeUnstageVolume", { staging_target_path: staging }),
    remove: async () => void (await insist(plugin, "Controller", "DeleteVolume", { volume_id: id })),
  };
}

/** A claim of the cache at a pod, all calls. */
export async function startClaim(plugin: Plugin, parameters: Parameters): Promise<Claim> {
  const claim = await createClaim(plugin, parameters);
  await claim.stage();
  await claim.publish();
  return claim;
}

/** Taken from its pod and unmounted: what a DeleteVolume finds. */
export async function stopClaim(claim: Claim): Promise<void> {
  await claim.unpublish();
  await claim.unstage();
}

/** The key `v1` of a cache that lies in the registry at `host`; unless it is said otherwise, nothing goes back. */
export function parametersOf(host: string, cache: string, more: Parameters = {}): Parameters {
  return {
    cache,
    key: "v1",
    repository: `${host}/bench/\${cache}`,
    "plain-http": "true",
    policy: "discard",
    ...more,
  };
}

async function insist(plugin: Plugin, service: string, method: string, request: object) {
  for (;;) {
    try {
      return await plugin.client.call(service, method, request);
    } catch (error) {
      const { code } = error as CsiError;
      // Of what the plugin met itself, its log alone tells.
      if (code !== "ABORTED") throw Object.assign(error as CsiError, { method, log: plugin.log.slice(-3) });
    }
  }
}
