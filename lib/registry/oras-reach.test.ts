import { describe, expect, it } from "vitest";
import { HostBook, type RegistrySettings } from "./hosts.ts";
import { openOrasReach } from "./oras-reach.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----";

function reach(registries: readonly RegistrySettings[], files: Readonly<Record<string, string>> = {}) {
  const readText = async (file: string) => files[file];
  return openOrasReach(new HostBook({ registries, directory: "/certs.d", readText, now: () => 0 }));
}

describe("openOrasReach()", () => {
  it.each([
    ["127.0.0.1:5000", [], true],
    ["r.example", [], false],
    ["r.example", [{ match: "r.example", plainHttp: true }], true],
    ["localhost:5000", [{ match: "*", plainHttp: false }], false],
  ] as ReadonlyArray<readonly [string, readonly RegistrySettings[], boolean]>)(
    "reaches %s as the reader does (%j)",
    async (host, registries, plainHttp) => {
      const access = { host, repository: "a/b", origin: "pull secret" };
      expect(await reach(registries).accessOf(access)).toEqual({ ...access, plainHttp });
    },
  );

  it("takes what a volume says of its registry, and hosts.toml where nobody says anything", async () => {
    const access = { host: "r.example", repository: "a/b" };
    expect(await reach([]).accessOf({ ...access, plainHttp: true })).toMatchObject({ plainHttp: true });
    const text = 'server = "http://r.example"\n';
    const files = { "/certs.d/r.example/hosts.toml": text };
    expect(await reach([], files).accessOf(access)).toMatchObject({ plainHttp: true });
  });

  it("skips checks and adds authorities where the settings say so", async () => {
    const registries = [{ match: "r.example", insecure: true, ca: [PEM] }];
    expect(await reach(registries).accessOf({ host: "r.example", repository: "a/b" })).toMatchObject({
      insecure: true,
    });
    expect(await reach(registries).authoritiesOf("r.example")).toBe(PEM);
    expect(await reach(registries).authoritiesOf("other.example")).toBeUndefined();
  });
});
