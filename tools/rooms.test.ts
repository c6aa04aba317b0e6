// Holds every import to the line of rooms: a room may use those above it, and only its own packages.
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const top = path.resolve(import.meta.dirname, "..");

/** Top to bottom; each with the packages that live there. */
const rooms: ReadonlyArray<readonly [room: string, packages: readonly string[]]> = [
  ["lib/core", []],
  ["lib/settings", ["zod", "yaml"]],
  ["lib/host", ["execa", "koffi", "pino", "prom-client"]],
  ["lib/registry", ["undici", "smol-toml"]],
  ["lib/archive", []],
  ["lib/trees", []],
  ["lib/volumes", []],
  ["csi", ["@grpc/grpc-js", "@grpc/proto-loader"]],
];

function importsOf(file: string): string[] {
  const text = readFileSync(path.join(top, file), "utf8");
  const clause =
    /^(?:import|export)\s[^"'`;]*?\bfrom\s+["']([^"']+)["']|^import\s+["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(clause)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

const isTest = (file: string) => /\.(test|contract|fake)\.ts$/.test(file) || file.includes("/testing/");

function problemsOf(file: string): string[] {
  const at = rooms.findIndex(([room]) => file.startsWith(`${room}/`));
  const packages = rooms[at]?.[1] ?? [];
  return importsOf(file).flatMap((name) => {
    if (name.startsWith("node:")) return [];
    if (!name.startsWith(".")) {
      const bare = name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/");
      const allowed = packages.includes(bare) || (isTest(file) && ["vitest", "execa"].includes(bare));
      return allowed ? [] : [`${file} uses the package ${bare}, which does not live in ${rooms[at]?.[0]}`];
    }
    const target = path.normalize(path.join(path.dirname(file), name));
    if (!target.endsWith(".ts") && !target.endsWith(".json"))
      return [`${file} imports ${name} without its ending`];
    const to = rooms.findIndex(([room]) => target.startsWith(`${room}/`));
    if ((to >= 0 && to <= at) || target === "package.json") return [];
    if (isTest(file) && target.startsWith("testing/")) return [];
    return [`${file} imports ${target}, which is below it or outside the rooms`];
  });
}

/** The way from a file back to itself; none where there is no circle. */
function circleFrom(start: string, imports: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const next of imports.get(at) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      if (next !== start) open.push(next);
    }
  }
  const way = cameFrom.has(start) ? [start] : [];
  for (let at = cameFrom.get(start); way.length > 0 && at !== undefined; at = cameFrom.get(at)) {
    way.unshift(at);
    if (at === start) break;
  }
  return way;
}

describe("the rooms", () => {
  const files = rooms.flatMap(([room]) => globSync(`${room}/**/*.ts`, { cwd: top }));

  it("are where the sources are", () => {
    expect(files.length).toBeGreaterThan(5);
  });

  it("import only from the rooms above them, and only their own packages", () => {
    expect(files.flatMap(problemsOf)).toEqual([]);
  });

  it("have no file that imports itself by way of others, be it only for a type", () => {
    const resolved = (file: string) =>
      importsOf(file)
        .filter((name) => name.startsWith("."))
        .map((name) => path.normalize(path.join(path.dirname(file), name)));
    const imports = new Map(files.map((file) => [file, resolved(file)]));
    expect(files.map((file) => circleFrom(file, imports).join(" → ")).filter((way) => way !== "")).toEqual(
      [],
    );
  });

  it("e2e imports nothing from the rooms", () => {
    const black = globSync("e2e/**/*.ts", { cwd: top }).flatMap((file) =>
      importsOf(file)
        .filter(
          (name) =>
            name.startsWith(".") &&
            !/^(e2e|testing)\//.test(path.normalize(path.join(path.dirname(file), name))),
        )
        .map((name) => `${file} imports ${name}`),
    );
    expect(black).toEqual([]);
  });

  it("core touches no disk, process, clock or log", () => {
    const effects = globSync("lib/core/**/*.ts", { cwd: top })
      .filter((file) => !isTest(file))
      .flatMap((file) => {
        const text = readFileSync(path.join(top, file), "utf8");
        const found = importsOf(file).filter((name) => name.startsWith("node:") && name !== "node:crypto");
        const clock = /\bDate\.now\(|\bnew Date\(\)|\bsetTimeout\(|\bMath\.random\(|\bprocess\./.exec(
          text,
        )?.[0];
        return [...found, ...(clock === undefined ? [] : [clock])].map((what) => `${file}: ${what}`);
      });
    expect(effects).toEqual([]);
  });
});
