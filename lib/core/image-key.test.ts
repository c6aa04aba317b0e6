import { describe, expect, it } from "vitest";
import { entriesFor, fitsImage } from "./image-key.ts";

describe("fitsImage()", () => {
  it.each([
    ["quay.io", "quay.io", "acme/app"],
    ["https://quay.io", "quay.io", "acme/app"],
    ["http://quay.io/", "quay.io", "acme/app"],
    ["https://quay.io/v2/", "quay.io", "acme/app"],
    ["https://quay.io/v1/acme", "quay.io", "acme/app"],
    ["quay.io/acme", "quay.io", "acme/app"],
    ["quay.io/acme/app", "quay.io", "acme/app"],
    ["QUAY.io/acme", "quay.io", "acme/app"],
    ["*.example.com", "a.example.com", "x"],
    ["*.*.example.com", "a.b.example.com", "x"],
    ["app*.example.com", "app1.example.com", "x"],
    ["a?.example.com", "a1.example.com", "x"],
    ["*a*b**.example.com", "xaayb.example.com", "x"],
    ["*.example.com:5000/x", "a.example.com:5000", "x/y"],
    ["localhost:5000", "localhost:5000", "x"],
    ["[::1]:5000", "[::1]:5000", "x"],
    ["https://index.docker.io/v1/", "docker.io", "library/nginx"],
    ["https://index.docker.io/v1", "docker.io", "library/nginx"],
    ["docker.io", "index.docker.io", "library/nginx"],
    ["docker.io/acme", "registry-1.docker.io", "acme/app"],
  ])("takes %s for %s/%s", (key, host, repository) => {
    expect(fitsImage(key, host, repository)).toBe(true);
  });

  it.each([
    ["quay.io", "quay.io:443", "acme/app"],
    ["quay.io:443", "quay.io", "acme/app"],
    ["quay.io", "evil-quay.io", "acme/app"],
    ["quay.io", "quay.io.evil.example", "acme/app"],
    ["quay.io/acme", "quay.io", "other/app"],
    ["quay.io/Acme", "quay.io", "acme/app"],
    ["*.example.com", "example.com", "x"],
    ["*.example.com", "a.b.example.com", "x"],
    ["*.example.com", "a.example.com.evil.example", "x"],
    ["*", "quay.io", "x"],
    ["a.example.com", "aXexample.com", "x"],
    ["", "quay.io", "x"],
    ["(.*)", "quay", "x"],
    ["https://", "quay.io", "x"],
    ["*a*b.example.com", "xaaby.example.com", "x"],
    ["a?.example.com", "a.example.com", "x"],
    [`${"*a".repeat(5000)}b.io`, `${"a".repeat(5000)}.io`, "x"],
  ])("refuses %s for %s/%s", (key, host, repository) => {
    expect(fitsImage(key, host, repository)).toBe(false);
  });
});

describe("entriesFor()", () => {
  it("gives the most specific first, and those that fit only", () => {
    const keys = ["*.io", "quay.io", "quay.io/acme/app", "gcr.io", "https://quay.io/v2/acme"].map((key) => ({
      key,
    }));
    expect(entriesFor(keys, "quay.io", "acme/app").map(({ key }) => key)).toEqual([
      "quay.io/acme/app",
      "https://quay.io/v2/acme",
      "quay.io",
      "*.io",
    ]);
  });
});
