import { describe, expect, it } from "vitest";
import { parseCredentialProviders } from "./credential-providers.ts";

const config = (providers: string) =>
  `apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n${providers}`;

const ecr = `
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "public.ecr.aws"]
  defaultCacheDuration: "12h30m0s"
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get-credentials]
  env:
  - name: AWS_PROFILE
    value: nodes
  aFieldOfTomorrow: 1
`;

describe("parseCredentialProviders()", () => {
  it("reads what a kubelet is given", () => {
    expect(parseCredentialProviders(config(ecr))).toEqual({
      leftOut: [],
      providers: [
        {
          name: "ecr-credential-provider",
          matchImages: ["*.dkr.ecr.*.amazonaws.com", "public.ecr.aws"],
          defaultCacheMs: 12.5 * 3_600_000,
          apiVersion: "credentialprovider.kubelet.k8s.io/v1",
          args: ["get-credentials"],
          env: { AWS_PROFILE: "nodes" },
        },
      ],
    });
  });

  it("leaves out, by name, those that want a service account's token", () => {
    const text = config(
      `${ecr}  tokenAttributes:\n    serviceAccountTokenAudience: x\n    requireServiceAccount: true\n`,
    );
    expect(parseCredentialProviders(text)).toEqual({ providers: [], leftOut: ["ecr-credential-provider"] });
  });

  it("reads JSON too, since the kubelet does", () => {
    const provider = {
      name: "x",
      matchImages: ["*"],
      defaultCacheDuration: "0s",
      apiVersion: "credentialprovider.kubelet.k8s.io/v1beta1",
      args: null,
    };
    const text = JSON.stringify({
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "CredentialProviderConfig",
      providers: [provider],
    });
    expect(parseCredentialProviders(text).providers).toMatchObject([
      { name: "x", defaultCacheMs: 0, args: [] },
    ]);
  });

  it.each([
    ["", "apiVersion is missing; kind is missing; providers is missing"],
    ["kind: [", "line 1"],
    ["- a", "Cannot use the CredentialProviderConfig"],
    [config("").replace(/providers:\s*$/, "providers: []"), "providers"],
    [config(ecr.replace("ecr-credential-provider", "../../bin/sh")), "without a slash"],
    [config(ecr.replace("ecr-credential-provider", "..")), "without a slash"],
    [config(ecr.replace("12h30m0s", "soon")), '"soon"'],
    [config(ecr.replace("credentialprovider.kubelet.k8s.io/v1", "v7")), "providers[0].apiVersion"],
    [config(ecr + ecr), "twice"],
  ])("refuses %j and says what is wrong", (text, why) => {
    expect(() => parseCredentialProviders(text)).toThrow(why);
  });
});
