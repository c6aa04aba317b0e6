import { describe, expect, it } from "vitest";
import { MemoryMetrics } from "./metrics.fake.ts";
import { type Metrics, PrometheusMetrics } from "./metrics.ts";

async function linesOf(count: (metrics: Metrics) => void): Promise<readonly string[]> {
  const metrics = new PrometheusMetrics();
  count(metrics);
  return (await metrics.expose()).text.split("\n");
}

describe("PrometheusMetrics", () => {
  it("counts calls by method and code, with how long they took", async () => {
    const lines = await linesOf((metrics) => {
      metrics.countCall({ method: "NodePublishVolume", code: "OK", seconds: 0.002 });
      metrics.countCall({ method: "NodePublishVolume", code: "OK", seconds: 20 });
      metrics.countCall({ method: "NodePublishVolume", code: "NOT_FOUND", seconds: 0 });
    });
    const ok = 'method="NodePublishVolume",code="OK"';
    expect(lines).toContain(`larder_call_duration_seconds_count{${ok}} 2`);
    expect(lines).toContain(`larder_call_duration_seconds_sum{${ok}} 20.002`);
    expect(lines).toContain(`larder_call_duration_seconds_bucket{le="0.003",${ok}} 1`);
    expect(lines).toContain(
      'larder_call_duration_seconds_count{method="NodePublishVolume",code="NOT_FOUND"} 1',
    );
  });

  it("counts refusals by Reason, but never pending", async () => {
    const lines = await linesOf((metrics) => {
      for (const reason of ["full", "full", "denied", "pending"] as const) metrics.countRefusal(reason);
    });
    expect(lines.filter((line) => line.startsWith("larder_refusals_total{"))).toEqual([
      'larder_refusals_total{reason="full"} 2',
      'larder_refusals_total{reason="denied"} 1',
    ]);
  });

  it("counts pulls, bytes by source, hits, joined flights and collections", async () => {
    const lines = await linesOf((metrics) => {
      metrics.countPull("whole", 2);
      metrics.countPull("unavailable", 120);
      metrics.countBytes("upstream", 10);
      metrics.countBytes({ mirror: "mirror.example.org" }, 20);
      metrics.countBytes({ mirror: "mirror.example.org" }, 5);
      metrics.countBytes("cache", 30);
      metrics.countHit();
      metrics.countJoined();
      metrics.countCollection({ bytes: 4096, items: 2 });
      metrics.countCollection({ bytes: 0, items: 0 });
    });
    for (const line of [
      'larder_pull_duration_seconds_count{outcome="whole"} 1',
      'larder_pull_duration_seconds_count{outcome="unavailable"} 1',
      'larder_bytes_total{source="upstream",mirror=""} 10',
      'larder_bytes_total{source="mirror",mirror="mirror.example.org"} 25',
      'larder_bytes_total{source="cache",mirror=""} 30',
      "larder_hits_total 1",
      "larder_flights_joined_total 1",
      "larder_collections_total 2",
      "larder_collected_bytes_total 4096",
      "larder_collected_items_total 2",
    ])
      expect(lines).toContain(line);
  });

  it("counts claims, and their write-backs by what became of the key", async () => {
    const lines = await linesOf((metrics) => {
      metrics.countClaim("created");
      metrics.countClaim("created");
      metrics.countClaim("lost");
      metrics.countWriteBack({ key: "moved", sentBytes: 100 });
      metrics.countWriteBack({ key: "superseded", sentBytes: 20 });
      metrics.countContest("lost");
    });
    for (const line of [
      'larder_claims_total{event="created"} 2',
      'larder_claims_total{event="lost"} 1',
      'larder_write_backs_total{key="moved"} 1',
      'larder_write_backs_total{key="superseded"} 1',
      "larder_written_back_bytes_total 120",
      'larder_key_contests_total{end="lost"} 1',
    ])
      expect(lines).toContain(line);
  });

  it("asks what it watches anew at every scrape", async () => {
    const metrics = new PrometheusMetrics();
    let bytes = 1;
    metrics.watch({
      cacheBytes: () => bytes,
      cacheItems: () => 7,
      openVolumes: () => 3,
      claims: () => 4,
      pendingWriteBacks: () => 2,
      isLimited: () => true,
      strayBytes: () => 77,
    });
    expect((await metrics.expose()).text).toContain("larder_cache_bytes 1\n");
    bytes = 2;
    const { text } = await metrics.expose();
    expect(text).toContain("larder_cache_bytes 2\n");
    expect(text).toContain("larder_cache_items 7\n");
    expect(text).toContain("larder_open_volumes 3\n");
    expect(text).toContain("larder_open_claims 4\n");
    expect(text).toContain("larder_pending_write_backs 2\n");
    expect(text).toContain("larder_limits_enforced 1\n");
    expect(text).toContain("larder_stray_bytes 77\n");
  });

  it("tells of the process itself, in the format Prometheus asks for", async () => {
    const { contentType, text } = await new PrometheusMetrics().expose();
    expect(contentType).toContain("text/plain; version=0.0.4");
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).toMatch(/^process_open_fds \d+$/m);
  });

  it("shares nothing with another one", async () => {
    await linesOf((metrics) => metrics.countHit());
    expect(await linesOf(() => undefined)).toContain("larder_hits_total 0");
  });

  it("escapes a mirror's name that is none", async () => {
    const lines = await linesOf((metrics) => metrics.countBytes({ mirror: 'a"\nb' }, 1));
    expect(lines).toContain('larder_bytes_total{source="mirror",mirror="a\\"\\nb"} 1');
  });
});

describe("MemoryMetrics", () => {
  it("keeps what was counted in order, and never pending", () => {
    const metrics = new MemoryMetrics();
    metrics.countHit();
    metrics.countRefusal("pending");
    metrics.countRefusal("full");
    metrics.countBytes({ mirror: "m" }, 3);
    metrics.countBytes({ mirror: "m" }, 4);
    metrics.countBytes("upstream", 9);
    expect(metrics.counted.slice(0, 2)).toEqual([{ what: "hit" }, { what: "refusal", reason: "full" }]);
    expect(metrics.bytesFrom({ mirror: "m" })).toBe(7);
    expect(metrics.bytesFrom("cache")).toBe(0);
  });
});
