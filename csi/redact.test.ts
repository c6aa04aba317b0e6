// What may be seen of a request, and what is taken out of any text.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Failure } from "../lib/core/failure.ts";
import { describeRequest, scrub } from "./redact.ts";
import { openTestDoor } from "./testing/door.ts";

const dockerConfig = JSON.stringify({
  auths: { "ghcr.io": { username: "acme", password: "pass-word-1", auth: btoa("acme:pass-word-2") } },
});
const tokens = JSON.stringify({
  larder: { token: "sa-token-1", expirationTimestamp: "2026-11-21T08:00:00Z" },
});

const request = {
  volume_id: "csi-1",
  target_path: "/t",
  readonly: true,
  secrets: { ".dockerconfigjson": dockerConfig, username: "acme", password: "pass-word-3" },
  volume_context: {
    reference: "r.example:5000/a:1@sha256:00",
    "csi.storage.k8s.io/pod.name": "pod-1",
    "csi.storage.k8s.io/serviceAccount.tokens": tokens,
    password: "pass-word-4",
  },
  volume_capability: { mount: { mount_flags: ["password=pass-word-5"] } },
};

describe("describeRequest()", () => {
  it("shows what names the call and nothing else", () => {
    expect(describeRequest(request)).toEqual({
      volume_id: "csi-1",
      target_path: "/t",
      readonly: true,
      reference: "r.example:5000/a:1@sha256:00",
      pod: "pod-1",
    });
  });

  it.each(["https://user:pw@r.example/a", "user:pw@r.example/a@sha256:00", "user@r.example/a"])(
    "hides the login in the reference %s",
    (reference) => {
      expect(describeRequest({ volume_context: { reference } })).toEqual({ reference: "(hidden)" });
    },
  );

  it("shows which claim is asked for, from whatever map says so", () => {
    const shown = describeRequest({
      name: "pvc-1",
      parameters: {
        "csi.storage.k8s.io/pvc/name": "build",
        cache: "npm",
        key: "main",
        from: "u:pw@r.example/a",
      },
      mutable_parameters: { outcome: "success", other: "hidden" },
    });
    expect(shown).toEqual({
      name: "pvc-1",
      claim: "build",
      cache: "npm",
      key: "main",
      from: "(hidden)",
      outcome: "success",
    });
  });

  it("takes requests without any of the fields", () => {
    expect(describeRequest({ volume_context: null })).toEqual({});
  });
});

describe("scrub()", () => {
  it.each([
    "pass-word-1",
    "pass-word-2",
    btoa("acme:pass-word-2"),
    "pass-word-3",
    "sa-token-1",
    dockerConfig,
    tokens,
  ])("takes out %s", (secret) => {
    expect(scrub(`<${secret}>`, request)).toBe("<(hidden)>");
  });

  it("leaves user names, hosts and short words alone", () => {
    const text = "ghcr.io refused acme with abc";
    expect(scrub(text, { ...request, secrets: { ...request.secrets, pin: "abc" } })).toBe(text);
  });
});

describe("openServer()", () => {
  it("lets no secret into messages and log lines, whatever fails", async () => {
    const errors = [
      new Failure("denied", `Cannot pull with ${dockerConfig} or pass-word-3`),
      new SyntaxError(`Unexpected token in ${dockerConfig}`),
    ];
    const publish = async () => {
      throw errors.shift();
    };
    await using door = await openTestDoor({ publish });
    const publishRequest = {
      ...request,
      volume_capability: { ...request.volume_capability, access_mode: { mode: "SINGLE_NODE_WRITER" } },
    };
    const denied = await door.client.refusal("csi.v1.Node/NodePublishVolume", publishRequest);
    const bug = await door.client.refusal("csi.v1.Node/NodePublishVolume", publishRequest);
    expect(JSON.stringify([denied, bug, door.lines])).not.toMatch(/pass-word|sa-token/);
    expect([denied.code, bug.code, door.lines.length]).toEqual(["UNAUTHENTICATED", "INTERNAL", 2]);
  });
});

describe("proto/csi.proto", () => {
  it("calls every secret field by the one name that is hidden", () => {
    const proto = readFileSync(fileURLToPath(new URL("../proto/csi.proto", import.meta.url)), "utf8");
    const secret = [...proto.matchAll(/(\w+) = \d+\s*\[\(csi_secret\) = true\]/g)].map(([, name]) => name);
    expect(secret.length).toBeGreaterThan(10);
    expect(new Set(secret)).toEqual(new Set(["secrets"]));
  });
});
