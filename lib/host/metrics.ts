// What the plugin counts, for Prometheus: every metric by name and type, in a registry of its own.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Reason } from "../core/failure.ts";

/** Where bytes came from. A mirror is named, for there are as many as the administrator wrote; an upstream is not, for pods name those. */
export type ByteSource = "upstream" | "cache" | { readonly mirror: string };

/** Asked anew whenever the metrics are read. */
export type Watched = {
  readonly cacheBytes: () => number;
  readonly cacheItems: () => number;
  readonly openVolumes: () => number;
  readonly claims: () => number;
  /** Claims that are to be deleted once what changed in them is in the registry. */
  readonly pendingWriteBacks: () => number;
  /** Whether sizes are limits here. */
  readonly isLimited: () => boolean;
  /** What pods took out of the limits of their volumes, as far as was seen. */
  readonly strayBytes: () => number;
};

/** Counting never fails and never waits. */
export interface Metrics {
  /** One CSI call was answered. `code` is the name of its gRPC code. */
  countCall(call: { readonly method: string; readonly code: string; readonly seconds: number }): void;
  /** `pending` is progress, not a refusal: it is not counted. */
  countRefusal(reason: Reason): void;
  /** One pull ended: whole, or with the Reason it was given up for. */
  countPull(outcome: "whole" | Reason, seconds: number): void;
  countBytes(source: ByteSource, bytes: number): void;
  /** A Tree was here already. */
  countHit(): void;
  /** A caller joined a pull that was under way. */
  countJoined(): void;
  countCollection(freed: { readonly bytes: number; readonly items: number }): void;
  /** A claim was made, or its changes were let go although they were to be written back. */
  countClaim(event: "created" | "lost"): void;
  /** The registry has confirmed a version; its key is its own now, a newer version's, or was never to be. */
  countWriteBack(version: {
    readonly key: "moved" | "superseded" | "left";
    readonly sentBytes: number;
  }): void;
  /** Another writer moved the key of a claim meanwhile; the newer of both has it. */
  countContest(end: "lost" | "won"): void;
  watch(watched: Watched): void;
}

/** What a scrape is answered with. */
export type Exposition = { readonly contentType: string; readonly text: string };

export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #calls: Histogram<"method" | "code">;
  readonly #refusals: Counter<"reason">;
  readonly #pulls: Histogram<"outcome">;
  readonly #bytes: Counter<"source" | "mirror">;
  readonly #hits: Counter;
  readonly #joined: Counter;
  readonly #collections: Counter;
  readonly #freedBytes: Counter;
  readonly #freedItems: Counter;
  readonly #claims: Counter<"event">;
  readonly #writeBacks: Counter<"key">;
  readonly #sentBytes: Counter;
  readonly #contests: Counter<"end">;

  constructor() {
    this.#calls = new Histogram({
      ...this.#named("larder_call_duration_seconds", "CSI calls by method and gRPC code"),
      labelNames: ["method", "code"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    });
    this.#pulls = new Histogram({
      ...this.#named("larder_pull_duration_seconds", "Pulls by outcome: whole, or why they were given up"),
      labelNames: ["outcome"],
      buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000],
    });
    this.#refusals = this.#counter("larder_refusals_total", "Operations refused, by Reason", ["reason"]);
    this.#bytes = this.#counter("larder_bytes_total", "Bytes of artifacts, by where they came from", [
      "source",
      "mirror",
    ]);
    this.#hits = this.#counter("larder_hits_total", "Volumes whose tree was on the node already");
    this.#joined = this.#counter("larder_flights_joined_total", "Callers that joined a pull under way");
    this.#collections = this.#counter("larder_collections_total", "Collections of what nobody uses");
    this.#freedBytes = this.#counter("larder_collected_bytes_total", "Bytes that collections freed");
    this.#freedItems = this.#counter(
      "larder_collected_items_total",
      "Layers and trees that collections removed",
    );
    this.#claims = this.#counter(
      "larder_claims_total",
      "Claims created, and claims whose changes were lost for the registry",
      ["event"],
    );
    this.#writeBacks = this.#counter(
      "larder_write_backs_total",
      "Versions of caches that registries have confirmed, by what became of the key",
      ["key"],
    );
    this.#sentBytes = this.#counter("larder_written_back_bytes_total", "Bytes of layers sent to registries");
    this.#contests = this.#counter("larder_key_contests_total", "Keys others moved meanwhile", ["end"]);
    collectDefaultMetrics({ register: this.#registry });
  }

  countCall({ method, code, seconds }: Parameters<Metrics["countCall"]>[0]): void {
    this.#calls.observe({ method, code }, seconds);
  }

  countRefusal(reason: Reason): void {
    if (reason !== "pending") this.#refusals.inc({ reason });
  }

  countPull(outcome: "whole" | Reason, seconds: number): void {
    this.#pulls.observe({ outcome }, seconds);
  }

  countBytes(source: ByteSource, bytes: number): void {
    const labels =
      typeof source === "string" ? { source, mirror: "" } : { source: "mirror", mirror: source.mirror };
    this.#bytes.inc(labels, bytes);
  }

  countHit(): void {
    this.#hits.inc();
  }

  countJoined(): void {
    this.#joined.inc();
  }

  countCollection({ bytes, items }: { readonly bytes: number; readonly items: number }): void {
    this.#collections.inc();
    this.#freedBytes.inc(bytes);
    this.#freedItems.inc(items);
  }

  countClaim(event: "created" | "lost"): void {
    this.#claims.inc({ event });
  }

  countWriteBack({ key, sentBytes }: Parameters<Metrics["countWriteBack"]>[0]): void {
    this.#writeBacks.inc({ key });
    this.#sentBytes.inc(sentBytes);
  }

  countContest(end: "lost" | "won"): void {
    this.#contests.inc({ end });
  }

  watch(watched: Watched): void {
    const { cacheBytes, cacheItems, openVolumes, claims, pendingWriteBacks, isLimited, strayBytes } = watched;
    this.#gauge("larder_cache_bytes", "Bytes that layers and trees take on the node", cacheBytes);
    this.#gauge("larder_cache_items", "Layers and trees on the node", cacheItems);
    this.#gauge("larder_open_volumes", "Volumes with a record", openVolumes);
    this.#gauge("larder_open_claims", "Claims with a record", claims);
    this.#gauge("larder_pending_write_backs", "Claims that wait for their write-back", pendingWriteBacks);
    this.#gauge("larder_stray_bytes", "Bytes that pods took out of their volumes' limits", strayBytes);
    this.#gauge("larder_limits_enforced", "1 where the sizes of claims are hard limits", () =>
      Number(isLimited()),
    );
  }

  async expose(): Promise<Exposition> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #named(name: string, help: string) {
    return { name, help, registers: [this.#registry] };
  }

  #counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[] = [],
  ): Counter<Label> {
    return new Counter({ ...this.#named(name, help), labelNames });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const collect = (): void => gauge.set(read());
    const gauge = new Gauge({ ...this.#named(name, help), collect });
  }
}
