// pip: what it downloads, and the wheels that it builds.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Ecosystem, run } from "./ecosystem.ts";

const before = {
  // Comes as sources only: pip keeps the wheel that it builds of them.
  docopt: "0.6.2",
  flask: "3.0.0",
  numpy: "1.26.1",
  pandas: "2.1.1",
  pillow: "10.1.0",
  requests: "2.31.0",
  scipy: "1.11.3",
  sqlalchemy: "2.0.22",
};
const after = { ...before, pandas: "2.1.3", requests: "2.32.3", sqlalchemy: "2.0.23" };

type Report = {
  readonly install: ReadonlyArray<{
    readonly metadata: { readonly name: string; readonly version: string };
    readonly download_info: { readonly archive_info: { readonly hashes: { readonly sha256: string } } };
  }>;
};

export const pip: Ecosystem = {
  id: "E5",
  name: "pip, downloads and built wheels",
  program: "python3",
  outputs: ["venv"],
  write: async (project, scratch, updated) => {
    const wanted = Object.entries(updated ? after : before).map(([name, version]) => `${name}==${version}`);
    const options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-", "--cache-dir", scratch];
    const text = await run(project, ["python3", "-m", "pip", "install", ...options, ...wanted]);
    const { install } = JSON.parse(text.slice(text.indexOf("{"))) as Report;
    const lines = install.map(({ metadata, download_info }) => {
      const { sha256 } = download_info.archive_info.hashes;
      return `${metadata.name}==${metadata.version} --hash=sha256:${sha256}`;
    });
    await writeFile(path.join(project, "requirements.txt"), `${lines.join("\n")}\n`);
  },
  build: async (project, cache) => {
    await run(project, ["python3", "-m", "venv", "venv"]);
    const pip = async (what: readonly string[]) => {
      // Its own cache keeps downloads only where the index allows it, but always what it has built.
      const options = ["--quiet", "--require-hashes", "--cache-dir", path.join(cache, "pip")];
      const kept = ["--find-links", path.join(cache, "downloads"), "-r", "requirements.txt"];
      await run(project, ["venv/bin/python", "-m", "pip", ...what, ...options, ...kept]);
    };
    await mkdir(path.join(cache, "downloads"), { recursive: true });
    await pip(["download", "--dest", path.join(cache, "downloads")]);
    await pip(["install"]);
    await run(project, ["venv/bin/python", "-c", "import docopt, flask, numpy, pandas, scipy, sqlalchemy"]);
    await run(project, ["venv/bin/python", "-m", "pip", "check"]);
  },
};
