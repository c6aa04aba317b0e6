// Packages as npm leaves them, 1 GB in 65,000 files, and the six updates that are made to them.
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { working } from "../voice.ts";

const dependencies = {
  "@aws-sdk/client-ec2": "3.450.0",
  "@aws-sdk/client-s3": "3.450.0",
  "@babel/preset-env": "7.23.2",
  "@fluentui/react-icons": "2.0.221",
  "@mui/material": "5.15.0",
  "ag-grid-community": "30.2.0",
  "aws-sdk": "2.1500.0",
  "core-js": "3.33.0",
  cypress: "13.5.0",
  "date-fns": "2.30.0",
  echarts: "5.4.3",
  eslint: "8.53.0",
  ethers: "6.8.0",
  firebase: "10.6.0",
  googleapis: "128.0.0",
  jest: "29.7.0",
  lodash: "4.17.20",
  "monaco-editor": "0.44.0",
  next: "14.0.0",
  "playwright-core": "1.39.0",
  prettier: "3.0.3",
  react: "18.2.0",
  "react-dom": "18.2.0",
  rxjs: "7.8.0",
  three: "0.158.0",
  typescript: "5.2.2",
  vite: "4.5.0",
  webpack: "5.89.0",
};

const updates = [
  "core-js@3.34.0",
  "echarts@5.5.0",
  "rxjs@7.8.1",
  "three@0.159.0",
  "typescript@5.3.3",
  "webpack@5.90.0",
];

export interface Packages {
  /** `package.json`, its lock and `node_modules` before the updates. */
  readonly folder: string;
  /** Makes the six updates in such a folder. */
  update(folder: string): Promise<void>;
}

/** Installed once into `cache`, which keeps what npm downloads too: later updates ask no registry for packages. */
export async function openPackages(cache: string): Promise<Packages> {
  const downloads = path.join(cache, "npm");
  const folder = path.join(cache, "packages");
  const update = async (at: string) => await npm(downloads, at, ["install", "--save-exact", ...updates]);
  if (!existsSync(folder)) {
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const manifest = { name: "bench", version: "1.0.0", private: true, dependencies };
    await writeFile(path.join(partial, "package.json"), JSON.stringify(manifest, null, 2));
    await working("installing packages (once)", () => npm(downloads, partial, ["install"]));
    await rename(partial, folder);
  }
  return { folder, update };
}

/** Scripts of packages would download from elsewhere. */
async function npm(downloads: string, cwd: string, args: readonly string[]): Promise<void> {
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel=error"];
  await execa("npm", [...args, ...quiet, "--prefer-offline", "--cache", downloads], { cwd, stdin: "ignore" });
}
