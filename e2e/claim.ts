// A claim with one pod, as somebody who shows it wants it: made, mounted, let go and deleted.
import { ClaimCalls, type ClaimRequest, insisting } from "./claim-calls.ts";
import type { Reply } from "./client.ts";
import type { Plugin } from "./plugin.ts";

export type Claim = {
  readonly id: string;
  readonly target: string;
  /** CreateVolume's reply. */
  readonly volume: Reply;
  /** Staged and published; repeated while the plugin says that it is under way. */
  mount(): Promise<void>;
  /** Unpublished and unstaged. */
  unmount(): Promise<void>;
  modify(mutable: Readonly<Record<string, string>>): Promise<void>;
  /** Repeated while the write-back is under way, as a provisioner does; tells each progress. */
  remove(tell?: (words: string) => void): Promise<void>;
};

let count = 0;

/** A claim that is made; nothing is mounted until `mount`. */
export async function claim(plugin: Plugin, request: Partial<ClaimRequest> = {}): Promise<Claim> {
  const name = request.name ?? `pvc-${process.pid}-${++count}`;
  const parameters = { "csi.storage.k8s.io/pvc/namespace": "default", ...request.parameters };
  const calls = new ClaimCalls({ plugin }, { ...request, name, parameters });
  const { volume } = (await calls.create()) as { readonly volume: Reply };
  const pod = "pod";
  return {
    id: calls.id,
    target: await calls.target(pod),
    volume,
    mount: async () => {
      await insisting((options) => calls.stage(options));
      await insisting((options) => calls.publish({ pod, options }));
    },
    unmount: async () => {
      await calls.unmountAtLast(pod);
    },
    modify: (mutable) => calls.modify(mutable),
    remove: (tell) => calls.deleteAtLast(tell),
  };
}
