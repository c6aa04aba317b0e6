import { describe, expect, it } from "vitest";
import { parseDockerConfig } from "./docker-config.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const parse = (auths: object) =>
  parseDockerConfig(JSON.stringify({ auths }), ".dockerconfigjson", "pull secret");

describe("parseDockerConfig()", () => {
  it.each([
    [{ auth: base64("u:p") }, { kind: "basic", username: "u", password: "p" }],
    [{ auth: base64("u:p:q") }, { kind: "basic", username: "u", password: "p:q" }],
    [{ auth: base64("u:p\0\0") }, { kind: "basic", username: "u", password: "p" }],
    [{ auth: base64("u:ü") }, { kind: "basic", username: "u", password: "ü" }],
    [{ auth: `${base64("u:p")}\n` }, { kind: "basic", username: "u", password: "p" }],
    [
      { username: "u", password: "p", email: "e" },
      { kind: "basic", username: "u", password: "p" },
    ],
    [
      { username: "other", password: "other", auth: base64("u:p") },
      { kind: "basic", username: "u", password: "p" },
    ],
    [
      { identitytoken: "t", auth: base64("<token>:") },
      { kind: "identity", token: "t" },
    ],
    [{ registrytoken: "t" }, { kind: "registry", token: "t" }],
  ])("reads %j", (entry, credentials) => {
    expect(parse({ "quay.io": entry })).toEqual([{ key: "quay.io", credentials }]);
  });

  it("passes over entries without a secret, and configs without entries", () => {
    expect(parse({ "quay.io": {}, "gcr.io": { auth: "" } })).toEqual([]);
    expect(parseDockerConfig('{"credsStore":"desktop"}', ".dockerconfigjson", "pull secret")).toEqual([]);
  });

  it("reads the older form, which has the entries at its top", () => {
    const text = JSON.stringify({ "quay.io": { auth: base64("u:p") } });
    expect(parseDockerConfig(text, ".dockercfg", "pull secret")).toHaveLength(1);
  });

  it.each([
    ["hush", "no JSON object"],
    ['["hush"]', "no JSON object"],
    ["", "no JSON object"],
    ["null", "no JSON object"],
    ['{"auths":"hush"}', '"auths" is no object'],
    ['{"auths":{"quay.io":"hush"}}', 'entry for "quay.io"'],
    ['{"auths":{"quay.io":{"auth":"hush!"}}}', '"auth" of "quay.io"'],
    ['{"auths":{"quay.io":{"registrytoken":"hush\\n"}}}', '"registrytoken" of "quay.io"'],
    [`{"auths":{"quay.io":{"auth":"${base64("hush")}"}}}`, '"auth" of "quay.io"'],
  ])("refuses %s, naming the secret and quoting nothing of it", (text, why) => {
    const parse = () => parseDockerConfig(text, ".dockerconfigjson", 'pull secret "acme"');
    expect(parse).toThrow(why);
    expect(parse).toThrow('.dockerconfigjson of the pull secret "acme"');
    expect(parse).not.toThrow(/hush|aHVzaA/);
  });

  it("takes names that objects have anyway as names", () => {
    const text = `{"auths":{"__proto__":{"auth":"${base64("u:p")}"},"constructor":{}}}`;
    expect(parseDockerConfig(text, ".dockerconfigjson", "pull secret")).toMatchObject([{ key: "__proto__" }]);
  });
});
