import { describe, expect, it } from "vitest";
import { formatReference, parseReference } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

describe("parseReference()", () => {
  it.each([
    ["ghcr.io/acme/model:v3", { host: "ghcr.io", repository: "acme/model", tag: "v3" }],
    ["localhost:5000/a", { host: "localhost:5000", repository: "a", tag: "latest" }],
    [`[::1]:5000/a/b@${digest}`, { host: "[::1]:5000", repository: "a/b", digest }],
    [`r.example/a:t@${digest}`, { host: "r.example", repository: "a", tag: "t", digest }],
  ])("reads %s", (text, expected) => {
    expect(parseReference(text)).toEqual(expected);
  });

  it.each([
    ["nginx", "names no registry host"],
    ["library/nginx", "docker.io/"],
    ["", "names no registry host"],
    ["r.example/Upper", '"Upper" is not a repository'],
    ["r.example/a:", '"" is not a tag'],
    ["r.example/a:b/c", '"b/c" is not a tag'],
    ["r.example/../etc", '"../etc" is not a repository'],
    ["r.example/a@sha256:12", 'digest "sha256:12"'],
    [`r.example/a@sha512:${"a".repeat(128)}`, "only sha256"],
    ["https://r.example/a", '"https:" is not a host'],
    ["r.example/a:b\n", "is not a tag"],
  ])("refuses %j and says why", (text, why) => {
    expect(() => parseReference(text)).toThrow(why);
  });
});

describe("formatReference()", () => {
  it("gives back what was parsed", () => {
    const text = `ghcr.io/acme/model:v3@${digest}`;
    expect(formatReference(parseReference(text))).toBe(text);
  });
});
