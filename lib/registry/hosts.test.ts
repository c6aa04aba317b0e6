import { describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { HostBook, type HostsOptions } from "./hosts.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";

function book(options: Partial<HostsOptions> & { readonly files?: Record<string, string> } = {}) {
  const { files = {}, ...rest } = options;
  return new HostBook({
    registries: [],
    ...(options.files === undefined ? {} : { directory: "/certs.d" }),
    readText: async (file) => files[file],
    now: () => 0,
    ...rest,
  });
}

const access = (host: string, more = {}) => ({ host, repository: "a/b", ...more });

async function upstreamOf(host: string, options = {}, more = {}) {
  return (await book(options).hostsFor(access(host, more))).upstream;
}

describe("hostsFor()", () => {
  it.each([
    ["ghcr.io", "https://ghcr.io"],
    ["docker.io", "https://registry-1.docker.io"],
    ["r.example:5000", "https://r.example:5000"],
    ["localhost:5000", "http://localhost:5000"],
    ["127.0.0.1:5000", "http://127.0.0.1:5000"],
    ["[::1]:5000", "http://[::1]:5000"],
    ["127.example.com", "https://127.example.com"],
  ])("asks %s at %s where nothing is said", async (host, origin) => {
    expect(await upstreamOf(host)).toMatchObject({ kind: "upstream", origin, prefix: "/v2" });
  });

  it("speaks plain HTTP where the volume or the settings say so, and TLS to loopback where they say so", async () => {
    expect((await upstreamOf("r.example", {}, { plainHttp: true })).origin).toBe("http://r.example");
    expect(
      (await upstreamOf("r.example", { registries: [{ match: "*.example", plainHttp: true }] })).origin,
    ).toBe("http://r.example");
    expect((await upstreamOf("localhost:1", {}, { plainHttp: false })).origin).toBe("https://localhost:1");
  });

  it("takes the volume's word before the settings'", async () => {
    const registries = [{ match: "*", plainHttp: true, insecure: true }];
    const strict = await upstreamOf("r.example", { registries }, { plainHttp: false, insecure: false });
    expect(strict).toMatchObject({ origin: "https://r.example", trust: {} });
    expect(strict.trust.skipVerify).toBeUndefined();
  });

  it("takes the first settings that match: the host, a wildcard, anything", async () => {
    const registries = [
      { match: "r.example", insecure: true },
      { match: "*.r.example", ca: [PEM] },
      { match: "*", mirrors: [{ url: "https://m.example" }] },
    ];
    expect((await upstreamOf("r.example", { registries })).trust).toEqual({ skipVerify: true });
    expect((await upstreamOf("x.r.example", { registries })).trust).toEqual({ ca: [PEM] });
    expect((await book({ registries }).hostsFor(access("other.example"))).order).toMatchObject([
      {
        kind: "mirror",
        origin: "https://m.example",
        namespace: "other.example",
        resolves: true,
        pulls: true,
      },
      { kind: "upstream", origin: "https://other.example" },
    ]);
  });

  it("reads hosts.toml as containerd does, the registry itself last", async () => {
    const files = {
      "/certs.d/docker.io/hosts.toml": `
        server = "https://registry-1.docker.io"
        [host."https://first.example/proxy"]
          capabilities = ["pull"]
          ca = "first.pem"
          dial_timeout = "300ms"
          [host."https://first.example/proxy".header]
            X-One = ["a", "b"]
            Authorization = "Basic abc"
        [host."http://second.example:8080/some/v2/"]
          capabilities = ["pull", "resolve"]
        [host."third.example/path"]
          override_path = true
          skip_verify = true
      `,
      "/certs.d/docker.io/first.pem": PEM,
    };
    const { order, upstream } = await book({ files }).hostsFor(access("docker.io"));
    expect(order).toEqual([
      {
        kind: "mirror",
        origin: "https://first.example",
        prefix: "/proxy/v2",
        namespace: "docker.io",
        resolves: false,
        pulls: true,
        headers: { "x-one": "a, b", authorization: "Basic abc" },
        trust: { ca: [PEM], dialTimeoutMs: 300 },
      },
      {
        kind: "mirror",
        origin: "http://second.example:8080",
        prefix: "/some/v2",
        namespace: "docker.io",
        resolves: true,
        pulls: true,
        headers: {},
        trust: { dialTimeoutMs: 1_000 },
      },
      {
        kind: "mirror",
        origin: "https://third.example",
        prefix: "/path",
        namespace: "docker.io",
        resolves: true,
        pulls: true,
        headers: {},
        trust: { skipVerify: true, dialTimeoutMs: 1_000 },
      },
      upstream,
    ]);
    expect(upstream.origin).toBe("https://registry-1.docker.io");
  });

  it("goes by host_port_, then by the host, then by _default", async () => {
    const mirror = (name: string) => `[host."https://${name}.example"]\n`;
    const files: Record<string, string> = {
      "/certs.d/_default/hosts.toml": mirror("default"),
      "/certs.d/r.example:5000/hosts.toml": mirror("host"),
      "/certs.d/r.example_5000_/hosts.toml": mirror("port"),
    };
    const first = async () => (await book({ files }).hostsFor(access("r.example:5000"))).order[0]?.origin;
    expect(await first()).toBe("https://port.example");
    delete files["/certs.d/r.example_5000_/hosts.toml"];
    expect(await first()).toBe("https://host.example");
    delete files["/certs.d/r.example:5000/hosts.toml"];
    expect(await first()).toBe("https://default.example");
  });

  it("takes a server that is the registry as how to reach it, client certificate included", async () => {
    const files = {
      "/certs.d/r.example_5000_/hosts.toml": `
        server = "http://r.example:5000/base"
        skip_verify = true
        client = [["c.pem", "k.pem"]]
      `,
      "/certs.d/r.example_5000_/c.pem": "C",
      "/certs.d/r.example_5000_/k.pem": "K",
    };
    expect(await upstreamOf("r.example:5000", { files })).toMatchObject({
      kind: "upstream",
      origin: "http://r.example:5000",
      prefix: "/base/v2",
      trust: { skipVerify: true, client: { certificate: "C", key: "K" } },
    });
  });

  it("takes a server that is another host as a mirror: its word is no proof", async () => {
    const said = ["[header]", 'authorization = "Basic proxy"'].join("\n");
    const server = `server = "http://proxy.example"\nskip_verify = true\n${said}`;
    const files = { "/certs.d/_default/hosts.toml": server };
    const { order, upstream } = await book({ files }).hostsFor(access("r.example"));
    expect(order).toMatchObject([
      {
        kind: "mirror",
        origin: "http://proxy.example",
        namespace: "r.example",
        headers: { authorization: "Basic proxy" },
        trust: { skipVerify: true },
      },
    ]);
    // Nor is the registry reached as that host is, or shown what is meant for it.
    expect(upstream).toMatchObject({
      kind: "upstream",
      origin: "https://r.example",
      prefix: "/v2",
      headers: {},
    });
    expect(upstream.trust).toEqual({});
  });

  it("reads the directory again after a while", async () => {
    let now = 0;
    const files: Record<string, string> = {};
    const hosts = new HostBook({
      registries: [],
      directory: "/certs.d",
      readText: async (file) => files[file],
      now: () => now,
    });
    const count = async () => (await hosts.hostsFor(access("r.example"))).order.length;
    expect(await count()).toBe(1);
    files["/certs.d/_default/hosts.toml"] = '[host."https://m.example"]';
    expect(await count()).toBe(1);
    now = 10_000;
    expect(await count()).toBe(2);
  });

  it.each([
    ["not = [toml", "hosts.toml"],
    ["server = 5", '"server" is not a text'],
    ["host = 5", '"host" is not a table'],
    ['[host."ftp://x"]', '"ftp://x"'],
    ['[host."https://x"]\nskip_verify = "yes"', '"skip_verify" of "https://x"'],
    ['[host."https://x"]\ncapabilities = [1]', '"capabilities" of "https://x"'],
    ['[host."https://x"]\nca = "gone.pem"', '"/certs.d/_default/gone.pem"'],
    ['[host."https://x".header]\nupgrade = "h2c"', '"header" of "https://x"'],
    ['[host."https://x".header]\nx-lines = "a\\nb"', '"header" of "https://x"'],
    ['[host."https://x"]\ndial_timeout = "soon"', '"soon"'],
  ])("refuses %j as invalid and quotes it", async (text, words) => {
    const hosts = book({ files: { "/certs.d/_default/hosts.toml": text } });
    const error: unknown = await hosts.hostsFor(access("r.example")).catch((error: unknown) => error);
    expect(isFailure(error, "invalid")).toBe(true);
    expect(String(error)).toContain(words);
  });
});
