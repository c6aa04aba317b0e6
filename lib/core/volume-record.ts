// The Record of a Volume of either kind, and the name of its file.
import { type ClaimRecord, formatClaimRecord, parseClaimRecord } from "./claim-record.ts";
import { parseFields } from "./fields.ts";
import { formatRecord, type InlineRecord, parseRecord, recordName } from "./record.ts";

export type VolumeRecord = InlineRecord | ClaimRecord;

/** A claim is one wherever it is mounted: no target has this name. */
export function volumeRecordName(record: VolumeRecord): string {
  return recordName(record.volumeId, record.kind === "claim" ? "" : record.target);
}

/** The bytes that parseVolumeRecord() reads. */
export function formatVolumeRecord(record: VolumeRecord): Uint8Array {
  return record.kind === "claim" ? formatClaimRecord(record) : formatRecord(record);
}

/**
 * The Record that a file holds; `name` is for the message.
 * Throws `corrupt` for what no release wrote, `unsupported` for what a newer one did.
 */
export function parseVolumeRecord(bytes: Uint8Array, name: string): VolumeRecord {
  return isClaim(bytes) ? parseClaimRecord(bytes, name) : parseRecord(bytes, name);
}

/** What cannot be told is left to the parser, which says why. */
function isClaim(bytes: Uint8Array): boolean {
  try {
    return parseFields(bytes, (why) => new SyntaxError(why)).optionalText("kind") === "claim";
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
