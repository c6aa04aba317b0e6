// Amounts as people write them: sizes, shares of a whole, lengths of time.
import { Failure } from "./failure.ts";

/** Bytes, or a share of some whole that is measured later. */
export type Amount =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "percent"; readonly percent: number };

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ...["k", "M", "G", "T", "P"].map((unit, index) => [unit, 1000 ** (index + 1)] as const),
  ...["Ki", "Mi", "Gi", "Ti", "Pi"].map((unit, index) => [unit, 1024 ** (index + 1)] as const),
]);

/** The bytes that a Kubernetes quantity such as `1Gi`, `500M` or `1.5Ti` spells. Throws `invalid`. */
export function parseBytes(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)([kKMGTP]?i?)$/.exec(text);
  const unit = UNITS.get(match?.[2] ?? "?");
  const bytes = unit === undefined ? Number.NaN : Math.ceil(Number(match?.[1]) * unit);
  if (!Number.isSafeInteger(bytes)) {
    throw new Failure("invalid", `Cannot read the size "${text}": write bytes such as 1Gi or 500M`);
  }
  return bytes;
}

/** A size, or a share such as `75%`. Throws `invalid`. */
export function parseAmount(text: string): Amount {
  const share = /^([0-9]+(?:\.[0-9]+)?)%$/.exec(text)?.[1];
  if (share === undefined) return { kind: "bytes", bytes: parseBytes(text) };
  if (Number(share) <= 100) return { kind: "percent", percent: Number(share) };
  throw new Failure(
    "invalid",
    `Cannot read the share "${text}": it is more than the whole; write 0% to 100%`,
  );
}

/** What `amount` comes to where the whole is `wholeBytes`. */
export function bytesOf(amount: Amount, wholeBytes: number): number {
  return amount.kind === "bytes" ? amount.bytes : Math.floor((wholeBytes * amount.percent) / 100);
}

const TIMES: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** The milliseconds that `500ms`, `5m`, `1h30m` or `7d` spells; plain `0` is none. Throws `invalid`. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+$/.test(text)) {
    throw new Failure("invalid", `Cannot read the time "${text}": write it such as 30s, 5m or 1h30m`);
  }
  const parts = text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g);
  return [...parts].reduce((sum, [, number, unit]) => sum + Number(number) * (TIMES.get(unit ?? "") ?? 0), 0);
}

/** Bytes for people: three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${units[power]}`;
}
