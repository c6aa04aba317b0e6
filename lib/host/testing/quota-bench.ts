// What pods do in a real directory, for the contract of quotas.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { QuotaBench } from "../quotas.contract.ts";
import { linuxQuotas } from "../quotas.linux.ts";

/** A new folder below `parent`, which lies on an XFS with quotas. */
export function openQuotaBench(parent: string): QuotaBench {
  const root = mkdtempSync(path.join(parent, "contract-"));
  return {
    quotas: linuxQuotas,
    root,
    makeDirectory: (target) => mkdirSync(target),
    // Flushed, since what a file takes is only known once it has its place.
    writeFile: (target, bytes) => writeFileSync(target, Buffer.alloc(bytes, 1), { flush: true }),
    remove: (target) => rmSync(target, { recursive: true }),
    dispose: () => rmSync(root, { recursive: true }),
  };
}
