import { describe, expect, it } from "vitest";
import { nodeClaims } from "./node-claims.ts";
import { describeProblems } from "./problems.ts";
import { parseYaml } from "./yaml.ts";

const read = (text: string) => parseYaml(text, []) as object;

describe("nodeClaims", () => {
  it("needs nothing to be said", () => {
    expect(nodeClaims.parse({})).toEqual({
      quota: "auto",
      pool: { size: { kind: "percent", percent: 25 }, floor: { kind: "percent", percent: 15 } },
      projects: { base: 0x20000000, count: 65_536 },
      inline: { maxSizeBytes: 10 * 2 ** 30 },
      claims: { overcommit: 1, pending: { kind: "percent", percent: 20 } },
      layer: { maxBytes: 5 * 2 ** 30 },
      chain: { max: 8 },
      oras: "oras",
    });
  });

  it("reads everything", () => {
    const text = `
quota: required
pool: { size: 50Gi, floor: 10Gi }
projects: { base: 0x30000000, count: 16 }
inline: { maxSize: 1Gi }
claims: { overcommit: 1.5, pending: 5Gi }
layer: { max: 64Mi }
chain: { max: 4 }
oras: /opt/oras
`;
    expect(nodeClaims.parse(read(text))).toEqual({
      quota: "required",
      pool: { size: { kind: "bytes", bytes: 50 * 2 ** 30 }, floor: { kind: "bytes", bytes: 10 * 2 ** 30 } },
      projects: { base: 0x30000000, count: 16 },
      inline: { maxSizeBytes: 2 ** 30 },
      claims: { overcommit: 1.5, pending: { kind: "bytes", bytes: 5 * 2 ** 30 } },
      layer: { maxBytes: 2 ** 26 },
      chain: { max: 4 },
      oras: "/opt/oras",
    });
  });

  it("knows off without quotes, as YAML 1.2 has it", () => {
    expect(nodeClaims.parse(read("quota: off")).quota).toBe("off");
  });

  it.each([
    ["quota: maybe", 'quota "maybe" is refused'],
    ["quota: false", "quota false is refused"],
    ["pool: { size: 120% }", 'pool.size: Cannot read the share "120%"'],
    ["projects: { base: 0 }", "projects.base 0 is refused"],
    ["projects: { base: 4294967294, count: 2 }", "projects.count: the ids would end beyond"],
    ["inline: { maxSize: 10% }", 'inline.maxSize: Cannot read the size "10%"'],
    ["claims: { overcommit: 0.5 }", "claims.overcommit 0.5 is refused"],
    ["claims: { penidng: 5% }", 'the nearest is "pending"'],
    ["layer: { max: 1k }", 'Cannot split layers at "1k"'],
    ["chain: { max: 0 }", "chain.max 0 is refused"],
  ])("refuses %s with its words", (text, words) => {
    const input = read(text);
    const { error } = nodeClaims.safeParse(input);
    expect(error && describeProblems(error, nodeClaims, input).join("; ")).toContain(words);
  });
});
