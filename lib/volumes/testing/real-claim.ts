// One claim on a real node, from its creation to its write-back.
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { assembleLayers } from "../../archive/clone-tree.ts";
import type { ClaimRecord } from "../../core/claim-record.ts";
import { placesOf } from "../claim-disk.ts";
import { createClaim } from "../create-claim.ts";
import { deleteClaim } from "../delete-claim.ts";
import { stageClaim } from "../stage-claim.ts";
import { unstageClaim } from "../unstage-claim.ts";
import { createRequest, stageRequest } from "./claims.ts";
import { call } from "./node.ts";
import type { RealDeps, RealNode } from "./real-node.ts";

/** One claim of a Cache, with what its class says. */
export class RealClaim {
  readonly #node: RealNode;
  readonly #deps: RealDeps;
  readonly #name: string;
  readonly volumeId: string;

  private constructor(node: RealNode, deps: RealDeps, made: { name: string; volumeId: string }) {
    this.#node = node;
    this.#deps = deps;
    this.#name = made.name;
    this.volumeId = made.volumeId;
  }

  /** Created and staged. */
  static async begin(
    node: RealNode,
    deps: RealDeps,
    made: {
      readonly name: string;
      readonly parameters: ReadonlyMap<string, string>;
      readonly secrets?: ReadonlyMap<string, string>;
      /** The pod's fsGroup. */
      readonly group?: string;
    },
  ): Promise<RealClaim> {
    const { name, parameters, secrets = new Map(), group } = made;
    const { volumeId } = await createClaim(deps, createRequest({ name, parameters }), call);
    const claim = new RealClaim(node, deps, { name, volumeId });
    await claim.stage(group, secrets);
    return claim;
  }

  async stage(group?: string, secrets: ReadonlyMap<string, string> = new Map()): Promise<void> {
    const request = { ...stageRequest(this.volumeId, group), path: this.#staging, secrets };
    await stageClaim(this.#deps, request, call);
  }

  get record(): ClaimRecord {
    return this.#deps.claims.require(this.volumeId);
  }

  get upper(): string {
    return placesOf(this.#node.root, this.record).upper;
  }

  /** What its pods see: by path, as a plain tree in a directory of its own. */
  async show(): Promise<string> {
    const at = path.join(this.#node.root, `shown-${this.#name}`);
    rmSync(at, { recursive: true, force: true });
    const { base, group } = this.record;
    const below = this.#deps.trees.contents(group?.layers ?? base?.layers ?? []) ?? [];
    await assembleLayers([this.upper, ...below], at, { links: "hardlink" });
    return at;
  }

  async unstage(): Promise<void> {
    await unstageClaim(this.#deps, { volumeId: this.volumeId, path: this.#staging }, call);
  }

  async delete(deps = this.#deps, secrets: ReadonlyMap<string, string> = new Map()): Promise<void> {
    await deleteClaim(deps, { volumeId: this.volumeId, secrets }, call);
  }

  get #staging(): string {
    return path.join(this.#node.root, "staging", this.#name);
  }
}

export const listOf = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();

/** Each entry with its mode, and a file with its bytes. */
export const contentOf = (directory: string) =>
  listOf(directory).map((name) => {
    const at = path.join(directory, name);
    const status = statSync(at);
    return [name, status.mode, status.isFile() ? readFileSync(at, "base64") : ""] as const;
  });
