// Claims that are remembered and nothing more: the specification's tables, without a disk.
import { mkdir, rmdir } from "node:fs/promises";
import { sizeOfClaim } from "../../lib/core/admit-claim.ts";
import { claimIdOf } from "../../lib/core/claim-record.ts";
import { Failure, type Reason } from "../../lib/core/failure.ts";
import type { Capability, ClaimVerdict, CreateClaimRequest } from "../../lib/volumes/requests.ts";
import type { AllJourneys } from "./door.ts";

type Claim = {
  bytes: number;
  stage: string | undefined;
  readonly targets: Map<string, Capability>;
};

const TERMS = new Set(["policy", "when", "on-push-failure", "push-deadline", "outcome"]);

const refusal = (reason: Reason, what: string) => new Failure(reason, `Cannot do it: ${what}`);

export class MemoryClaims implements AllJourneys {
  readonly #claims = new Map<string, Claim>();
  readonly #here: readonly [label: string, node: string];

  constructor(driver: string, node: string) {
    this.#here = [`${driver}/node`, node];
  }

  createClaim: AllJourneys["createClaim"] = async (request) => {
    this.#checkWanted(request);
    const volumeId = claimIdOf(request.name);
    const bytes = sizeOfClaim(request.size);
    const claim = this.#claims.get(volumeId) ?? { bytes, stage: undefined, targets: new Map() };
    if (claim.bytes !== bytes) throw refusal("conflict", `"${request.name}" has ${claim.bytes} bytes`);
    this.#claims.set(volumeId, claim);
    return { volumeId, bytes, context: new Map([["made", "in memory"]]) };
  };

  #checkWanted({ hasSource, capabilities, mutable, topology }: CreateClaimRequest): void {
    if (hasSource) throw refusal("unsupported", "there are no copies");
    const verdict = judge(capabilities);
    if (!verdict.confirmed) throw refusal("unsupported", verdict.message);
    checkTerms(mutable);
    const [label, node] = this.#here;
    const isHere = topology.length === 0 || topology.some((one) => one.get(label) === node);
    if (!isHere) throw refusal("full", "it is to be on another node");
  }

  deleteClaim: AllJourneys["deleteClaim"] = async ({ volumeId }) => {
    const claim = this.#claims.get(volumeId);
    if (claim?.stage !== undefined || claim?.targets.size)
      throw refusal("in-use", `"${volumeId}" is mounted`);
    this.#claims.delete(volumeId);
    return undefined;
  };

  validateClaim: AllJourneys["validateClaim"] = async ({ volumeId, capabilities, mutable }) => {
    this.#at(volumeId);
    checkTerms(mutable);
    return judge(capabilities);
  };

  readCapacity: AllJourneys["readCapacity"] = async () => ({
    availableBytes: 2 ** 40,
    maximumBytes: 2 ** 40,
    minimumBytes: 2 ** 20,
  });

  modifyClaim: AllJourneys["modifyClaim"] = async ({ volumeId, mutable }) => {
    this.#at(volumeId);
    checkTerms(mutable);
  };

  stage: AllJourneys["stage"] = async ({ volumeId, path }) => {
    const claim = this.#at(volumeId);
    if (claim.stage !== undefined && claim.stage !== path)
      throw refusal("conflict", "it is staged elsewhere");
    claim.stage = path;
  };

  unstage: AllJourneys["unstage"] = async ({ volumeId }) => {
    const claim = this.#claims.get(volumeId);
    if (claim?.targets.size) throw refusal("in-use", "it is published");
    if (claim) claim.stage = undefined;
  };

  publish: AllJourneys["publish"] = async ({ volumeId, target, stagingPath, capability }) => {
    const { stage, targets } = this.#at(volumeId);
    if (stage === undefined || stage !== stagingPath) throw refusal("in-use", "it is not staged there");
    const isShared = capability.mode !== "single-node-single-writer";
    if (!isShared && targets.size > (targets.has(target) ? 1 : 0)) throw refusal("in-use", "it has a writer");
    await mkdir(target, { recursive: true });
    targets.set(target, capability);
  };

  unpublish: AllJourneys["unpublish"] = async ({ volumeId, target }) => {
    if (this.#claims.get(volumeId)?.targets.delete(target)) await rmdir(target);
  };

  stats: AllJourneys["stats"] = async ({ volumeId, path }) => {
    const { bytes, targets, stage } = this.#at(volumeId);
    if (!targets.has(path) && stage !== path) throw refusal("not-found", `nothing is published at "${path}"`);
    const inodes = { total: 10, used: 1, available: 9 };
    return { bytes: { total: bytes, used: 0, available: bytes }, inodes };
  };

  expand: AllJourneys["expand"] = async ({ volumeId, size }) => {
    const claim = this.#at(volumeId);
    claim.bytes = Math.max(claim.bytes, sizeOfClaim(size));
    return { bytes: claim.bytes };
  };

  #at(volumeId: string): Claim {
    const claim = this.#claims.get(volumeId);
    if (claim === undefined) throw refusal("not-found", `there is no volume "${volumeId}"`);
    return claim;
  }
}

function judge(capabilities: readonly Capability[]): ClaimVerdict {
  const isBlock = capabilities.some(({ access }) => access === "block");
  return isBlock ? { confirmed: false, message: "A claim is no block device" } : { confirmed: true };
}

function checkTerms(mutable: ReadonlyMap<string, string>): void {
  const unknown = [...mutable.keys()].find((name) => !TERMS.has(name));
  if (unknown !== undefined) throw refusal("invalid", `"${unknown}" cannot be changed`);
}
