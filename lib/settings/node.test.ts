import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { parseNode } from "./node.ts";
import { registryFor } from "./registries.ts";

const environment = { LARDER_NODE: "node-1" };

function problemsOf(text: string, env: Record<string, string> = environment): string {
  try {
    parseNode(text, env);
  } catch (error) {
    if (isFailure(error, "invalid")) return error.message;
    throw error;
  }
  return "";
}

describe("parseNode()", () => {
  it.each(["", "# nothing", "---\n", "{}"])("needs nothing but the node's name, given %j", (text) => {
    expect(parseNode(text, environment)).toMatchObject({
      driver: "csi.larder.dev",
      endpoint: "unix:///csi/csi.sock",
      node: "node-1",
      root: "/var/lib/larder",
      logLevel: "info",
      store: { high: { kind: "percent", percent: 75 }, low: { kind: "percent", percent: 60 } },
      registries: [],
      pull: { concurrency: 8, connections: 12, rangeBytes: 2 ** 23, keepSetuid: false },
      proof: { ttlMs: 3_600_000, staleTags: true },
      mount: { noSuid: true, noDev: true },
      quota: "auto",
      inline: { maxSizeBytes: 10 * 2 ** 30 },
    });
  });

  it("reads everything", () => {
    const text = `
driver: csi.oras.land
store: { high: 100Gi, low: 80Gi }
registries:
  - match: r.example:5000
    plainHttp: true
    mirrors:
      - { url: "http://mirror.example/v2/hub/", capabilities: [pull], headers: { x-team: a }, overridePath: true }
    credentials: { username: u, passwordFile: /etc/larder/password }
  - { match: "*", ca: /etc/ca.pem, allowInsecure: true, mirrors: [{ url: "https://m.example", ca: [/a.pem, /b.pem] }] }
hostsDirectory: /etc/containerd/certs.d
credentialProviders: { config: /etc/cp.yaml, binDirectory: /opt/cp }
pull: { concurrency: 2, connections: 4, nodeConnections: 8, rangeBytes: 16Mi, threads: 2, keepSetuid: true }
proof: { ttl: 10m, staleTags: false }
metrics: { address: "127.0.0.1:0" }
registration: /registration
socketGroup: 65532
selinux: { context: "system_u:object_r:container_file_t:s0:c1,c2" }
mount: { nosuid: false, nodev: false }
quota: required
pool: { size: 50Gi }
`;
    const settings = parseNode(text, {
      CSI_ENDPOINT: "unix:///run/x.sock",
      LARDER_NODE: "a.b",
      LARDER_ROOT: "/data/",
      LARDER_LOG_LEVEL: "debug",
    });
    expect(settings).toMatchObject({
      driver: "csi.oras.land",
      endpoint: "unix:///run/x.sock",
      root: "/data",
      store: { high: { kind: "bytes", bytes: 100 * 2 ** 30 } },
      registries: [
        {
          plainHttp: true,
          mirrors: [
            {
              url: "http://mirror.example/v2/hub",
              capabilities: ["pull"],
              overridePath: true,
              skipVerify: false,
            },
          ],
          credentials: { username: "u", passwordFile: "/etc/larder/password" },
        },
        { match: "*", ca: ["/etc/ca.pem"], mirrors: [{ ca: ["/a.pem", "/b.pem"] }] },
      ],
      credentialProviders: { config: "/etc/cp.yaml", binDirectory: "/opt/cp" },
      pull: { threads: 2, rangeBytes: 2 ** 24 },
      proof: { ttlMs: 600_000, staleTags: false },
      metrics: { address: { host: "127.0.0.1", port: 0 } },
      registration: "/registration",
      socketGroup: 65_532,
      mount: { noSuid: false, noDev: false },
      quota: "required",
      pool: { size: { kind: "bytes", bytes: 50 * 2 ** 30 }, floor: { kind: "percent", percent: 15 } },
    });
    expect(registryFor(settings.registries, "r.example:5000")?.plainHttp).toBe(true);
    expect(registryFor(settings.registries, "other.example")?.ca).toEqual(["/etc/ca.pem"]);
  });

  it("listens nowhere where the address is empty", () => {
    expect(parseNode('metrics: { address: "" }', environment).metrics.address).toBeUndefined();
  });

  it("tells every problem of file and environment at once", () => {
    const told = problemsOf("driver: 1x\nstore: { high: 10%, lwo: 5% }\npull: { connections: 0 }", {
      LARDER_ROOT: "relative",
    });
    for (const problem of [
      'driver "1x" is refused: write a DNS name',
      '"store.lwo" is unknown; the nearest is "low"',
      "pull.connections 0 is refused",
      "LARDER_NODE is missing",
      'LARDER_ROOT "relative" is refused: write an absolute path',
    ]) {
      expect(told).toContain(problem);
    }
  });

  it.each([
    ["store: { high: 50%, low: 60% }", "store.low: it is more than store.high"],
    ["store: { high: 50% }", "store.low: it is more than store.high"],
    ["store: { high: lots }", 'store.high: Cannot read the size "lots"'],
    ["store: { high: [1] }", "store.high is refused: expected a text"],
    ["pull: { rangeBytes: 1k }", 'pull.rangeBytes: Cannot ask for ranges of "1k"'],
    ["pull: { threads: 1.5 }", "pull.threads 1.5 is refused"],
    ["proof: { ttl: 5 }", 'proof.ttl: Cannot read the time "5"'],
    ["proof: 5", "proof 5 is refused: expected object"],
    ["metrics: { address: localhost }", 'metrics.address: Cannot listen on "localhost"'],
    ["metrics: { address: ':70000' }", "Cannot listen on"],
    ["registries: [{ match: 'https://r.example' }]", 'registries[0].match "https://r.example" is refused'],
    ["registries: [{ match: a.b, ca: [] }]", "registries[0].ca is refused"],
    [
      "registries: [{ match: a.b, ca: here.pem }]",
      'registries[0].ca "here.pem" is refused: write an absolute path',
    ],
    ["registries: [{}]", "registries[0].match is missing"],
    [
      "registries: [{ match: a.b, mirrors: [{ url: 'ftp://x' }] }]",
      "registries[0].mirrors[0].url: Cannot use this URL",
    ],
    [
      "registries: [{ match: a.b, mirors: [] }]",
      '"registries[0].mirors" is unknown; the nearest is "mirrors"',
    ],
    [
      "registries: [{ match: a.b, credentials: { username: u } }]",
      'give either "password" or "passwordFile"',
    ],
    ["credentialProviders: { config: /a }", "credentialProviders.binDirectory is missing"],
    ["registration: here", 'registration "here" is refused: write an absolute path'],
    ["socketGroup: larder", 'socketGroup "larder" is refused'],
    ["plugins: {}", '"plugins" is unknown'],
    ["[]", "the whole is refused: expected object"],
    ["a: [", "line 1: "],
    ["driver: a.b\ndriver: c.d", "line 2: DUPLICATE_KEY"],
    ["driver: *nothing", "an alias (*name) in it cannot be followed"],
  ])("refuses %j", (text, problem) => {
    expect(problemsOf(text)).toContain(problem);
  });

  it.each([
    "registries: [{ match: a.b, credentials: { username: u, password: [hunter2] } }]",
    "registries: [{ match: a.b, credentials: { username: u, password: hunter2, passwordFile: /hunter2 } }]",
    "registries: [{ match: a.b, credentials: { username: u, passwordFile: hunter2 } }]",
    "registries: [{ match: a.b, mirrors: [{ url: 'https://u:hunter2@m.example' }] }]",
    "registries: [{ match: a.b, mirrors: [{ url: 'https://m.example', headers: { a: [hunter2] } }] }]",
    "registries: [{ match: a.b, mirrors: [{ url: 'https://m.example', headers: { 'a b': hunter2 } }] }]",
    "registries: [{ match: a.b, mirrors: [{ url: 'https://m.example', headers: { upgrade: hunter2 } }] }]",
    "registries: [{ match: a.b, credentials: { password: hunter2 : x } }]",
    "registries: [{ match: a.b, credentials: { username: u, password: *hunter2 } }]",
  ])("never tells a secret: %j", (text) => {
    const told = problemsOf(text);
    expect(told).toContain("Cannot use the node's settings");
    expect(told).not.toContain("hunter2");
  });
});
