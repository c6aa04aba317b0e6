// cargo: the registry's crates, and what was compiled (`target`).
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Ecosystem, run } from "./ecosystem.ts";

const before = {
  clap: '{ version = "=4.4.6", features = ["derive"] }',
  rayon: '"=1.8.0"',
  regex: '"=1.9.6"',
  serde: '{ version = "=1.0.188", features = ["derive"] }',
  serde_json: '"=1.0.107"',
  tokio: '{ version = "=1.32.0", features = ["full"] }',
};
const after = { ...before, regex: '"=1.10.2"', serde_json: '"=1.0.108"' };

const CODE = `use rayon::prelude::*;
fn main() {
    let sum: u64 = (0..10u64).into_par_iter().sum();
    let found = regex::Regex::new("a+").unwrap().is_match("aa");
    println!("{} {}", serde_json::json!({ "sum": sum }), found);
}
`;

const environment = (cache: string) => ({
  CARGO_HOME: path.join(cache, "cargo"),
  CARGO_TARGET_DIR: path.join(cache, "target"),
  // What is kept for the next edit of a file is of no use to a job that compiles once.
  CARGO_INCREMENTAL: "0",
});

/** cargo itself checks a crate when it has downloaded it, and not again. */
async function checkCrates(project: string, cache: string): Promise<void> {
  const lock = await readFile(path.join(project, "Cargo.lock"), "utf8");
  const registry = path.join(cache, "cargo/registry/cache");
  const crates = (await readdir(registry, { withFileTypes: true, recursive: true })).filter((entry) =>
    entry.isFile(),
  );
  const sums = new Map<string, string>();
  for (const { parentPath, name } of crates) {
    const bytes = await readFile(path.join(parentPath, name));
    sums.set(name, createHash("sha256").update(bytes).digest("hex"));
  }
  const locked = /^name = "(?<name>.+)"\nversion = "(?<version>.+)"\nsource = .+\nchecksum = "(?<sum>.+)"$/gm;
  const wanted = [...lock.matchAll(locked)].map(({ groups = {} }) => groups);
  const known = wanted.filter(({ name, version }) => sums.has(`${name}-${version}.crate`));
  const wrong = known.find(({ name, version, sum }) => sums.get(`${name}-${version}.crate`) !== sum);
  if (wrong !== undefined) throw new Error(`The crate ${wrong["name"]} is not as Cargo.lock has it`);
  if (known.length === 0) throw new Error(`There is no crate of Cargo.lock in ${registry}`);
}

export const cargo: Ecosystem = {
  id: "E4",
  name: "cargo, registry and target",
  program: "cargo",
  parameters: { compare: "exact" },
  outputs: [],
  write: async (project, scratch, updated) => {
    const dependencies = Object.entries(updated ? after : before).map(
      ([name, version]) => `${name} = ${version}`,
    );
    const manifest = `[package]\nname = "bench"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\n${dependencies.join("\n")}\n`;
    await mkdir(path.join(project, "src"), { recursive: true });
    await writeFile(path.join(project, "src/main.rs"), CODE);
    await writeFile(path.join(project, "Cargo.toml"), manifest);
    await rm(path.join(project, "Cargo.lock"), { force: true });
    await run(project, ["cargo", "generate-lockfile", "--quiet"], environment(scratch));
  },
  build: async (project, cache) => {
    await run(project, ["cargo", "build", "--locked", "--quiet"], environment(cache));
    await run(project, [path.join(cache, "target/debug/bench")]);
  },
  verify: async (project, cache) => {
    await checkCrates(project, cache);
    await run(project, ["cargo", "build", "--locked", "--offline", "--quiet"], environment(cache));
  },
};

export const cargoContent: Ecosystem = {
  ...cargo,
  name: "cargo, the same with `compare: content`",
  parameters: { compare: "content" },
};
