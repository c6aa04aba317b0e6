// What is done for pods of a group, in memory: whose each directory is, and what was made over.
import type { Digest } from "../../core/digest.ts";
import { groupedLayerId } from "../../core/layer-id.ts";
import type { Files } from "../../host/files.ts";
import type { LeasedLayers } from "../../trees/grouped-layers.ts";
import type { GroupPorts } from "../claim-group.ts";

export class MemoryGroups {
  /** The group of each directory that was given to one. */
  readonly owners = new Map<string, number>();
  readonly made = new Set<Digest>();
  /** In their order. */
  readonly events: string[] = [];
  leases = 0;

  /** Each change is an effect of `files`, after which they may stop. */
  ports(files: Pick<Files, "writeAtomically" | "removeFile">): GroupPorts {
    return {
      groupedLayers: { lease: (layers, gid) => this.#lease(layers, gid) },
      groupTrees: {
        isGroups: (root, gid) => this.owners.get(root) === gid,
        give: async (root, gid) => {
          await files.writeAtomically(`${root}/given`, Buffer.from(`${gid}`), { durable: false });
          this.owners.set(root, gid);
          this.events.push(`give ${gid}`);
        },
        take: async ({ upper, below, gid }) => {
          await files.removeFile(`${upper}/given`);
          this.owners.delete(upper);
          this.events.push(`take ${gid} over ${below.length}`);
        },
      },
    };
  }

  async #lease(layers: readonly Digest[], gid: number): Promise<LeasedLayers> {
    const grouped = layers.map((layer) => groupedLayerId(layer, gid));
    for (const id of grouped) this.made.add(id);
    this.leases++;
    return { layers: grouped, [Symbol.dispose]: () => void this.leases-- };
  }
}
