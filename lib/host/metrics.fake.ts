// Metrics that keep what was counted, in order, for tests to read.
import type { ByteSource, Metrics, Watched } from "./metrics.ts";

export type Counted =
  | ({ readonly what: "call" } & Parameters<Metrics["countCall"]>[0])
  | { readonly what: "refusal"; readonly reason: Parameters<Metrics["countRefusal"]>[0] }
  | { readonly what: "pull"; readonly outcome: Parameters<Metrics["countPull"]>[0]; readonly seconds: number }
  | { readonly what: "bytes"; readonly source: ByteSource; readonly bytes: number }
  | { readonly what: "hit" | "joined" }
  | { readonly what: "collection"; readonly bytes: number; readonly items: number }
  | { readonly what: "claim"; readonly event: Parameters<Metrics["countClaim"]>[0] }
  | { readonly what: "contest"; readonly end: Parameters<Metrics["countContest"]>[0] }
  | ({ readonly what: "write-back" } & Parameters<Metrics["countWriteBack"]>[0]);

export class MemoryMetrics implements Metrics {
  readonly counted: Counted[] = [];
  watched: Watched | undefined;

  countCall(call: Parameters<Metrics["countCall"]>[0]): void {
    this.counted.push({ what: "call", ...call });
  }

  countRefusal(reason: Parameters<Metrics["countRefusal"]>[0]): void {
    if (reason !== "pending") this.counted.push({ what: "refusal", reason });
  }

  countPull(outcome: Parameters<Metrics["countPull"]>[0], seconds: number): void {
    this.counted.push({ what: "pull", outcome, seconds });
  }

  countBytes(source: ByteSource, bytes: number): void {
    this.counted.push({ what: "bytes", source, bytes });
  }

  countHit(): void {
    this.counted.push({ what: "hit" });
  }

  countJoined(): void {
    this.counted.push({ what: "joined" });
  }

  countCollection(freed: { readonly bytes: number; readonly items: number }): void {
    this.counted.push({ what: "collection", ...freed });
  }

  countClaim(event: Parameters<Metrics["countClaim"]>[0]): void {
    this.counted.push({ what: "claim", event });
  }

  countWriteBack(version: Parameters<Metrics["countWriteBack"]>[0]): void {
    this.counted.push({ what: "write-back", ...version });
  }

  countContest(end: Parameters<Metrics["countContest"]>[0]): void {
    this.counted.push({ what: "contest", end });
  }

  watch(watched: Watched): void {
    this.watched = watched;
  }

  /** The sum of the bytes counted from there. */
  bytesFrom(source: ByteSource): number {
    const wanted = JSON.stringify(source);
    return this.counted
      .flatMap((each) =>
        each.what === "bytes" && JSON.stringify(each.source) === wanted ? [each.bytes] : [],
      )
      .reduce((sum, bytes) => sum + bytes, 0);
  }
}
