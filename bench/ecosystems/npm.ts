// npm: its store of downloads (`_cacache`), and `node_modules` itself.
import { copyFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Ecosystem, run } from "./ecosystem.ts";

const before = {
  "@babel/preset-env": "7.23.2",
  "core-js": "3.33.0",
  "date-fns": "2.30.0",
  echarts: "5.4.3",
  eslint: "8.53.0",
  jest: "29.7.0",
  lodash: "4.17.20",
  "monaco-editor": "0.44.0",
  next: "14.0.0",
  prettier: "3.0.3",
  react: "18.2.0",
  "react-dom": "18.2.0",
  rxjs: "7.8.0",
  three: "0.158.0",
  typescript: "5.2.2",
  webpack: "5.89.0",
};
const after = { ...before, lodash: "4.17.21", rxjs: "7.8.1", typescript: "5.3.3", webpack: "5.90.0" };

/** Scripts of packages would download from elsewhere. */
const QUIET = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

async function write(project: string, scratch: string, updated: boolean): Promise<void> {
  const manifest = { name: "bench", version: "1.0.0", private: true, dependencies: updated ? after : before };
  await writeFile(path.join(project, "package.json"), JSON.stringify(manifest));
  await run(project, ["npm", "install", "--package-lock-only", ...QUIET, "--cache", scratch]);
}

/** What was installed runs. */
async function tryOut(folder: string): Promise<void> {
  await run(folder, [process.execPath, "node_modules/typescript/bin/tsc", "--version"]);
  await run(folder, [process.execPath, "-e", 'require("webpack"); require("rxjs"); require("lodash")']);
}

export const npmStore: Ecosystem = {
  id: "E1",
  name: "npm, `_cacache`",
  program: "npm",
  outputs: ["node_modules"],
  write,
  build: async (project, cache) => {
    await run(project, ["npm", "ci", "--prefer-offline", ...QUIET, "--cache", path.join(cache, "npm")]);
    await tryOut(project);
  },
  verify: async (project, cache) => {
    await run(project, ["npm", "cache", "verify", "--cache", path.join(cache, "npm")]);
  },
};

export const npmModules: Ecosystem = {
  id: "E1",
  name: "npm, `node_modules`",
  program: "npm",
  outputs: [],
  write,
  build: async (project, cache) => {
    for (const name of ["package.json", "package-lock.json"])
      await copyFile(path.join(project, name), path.join(cache, name));
    await run(cache, ["npm", "install", ...QUIET, "--cache", path.join(project, "downloads")]);
    await tryOut(cache);
  },
  verify: async (_, cache) => {
    await run(cache, ["npm", "ls", "--all"]);
  },
};
