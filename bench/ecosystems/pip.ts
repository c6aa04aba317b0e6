// pip: what it downloads, and the wheels that it builds.
import { existsSync } from "node:fs";
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

async function write(project: string, scratch: string, updated: boolean): Promise<void> {
  const wanted = Object.entries(updated ? after : before).map(([name, version]) => `${name}==${version}`);
  const options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-", "--cache-dir", scratch];
  const text = await run(project, ["python3", "-m", "pip", "install", ...options, ...wanted]);
  const { install } = JSON.parse(text.slice(text.indexOf("{"))) as Report;
  const lines = install.map(({ metadata, download_info }) => {
    const { sha256 } = download_info.archive_info.hashes;
    return `${metadata.name}==${metadata.version} --hash=sha256:${sha256}`;
  });
  await writeFile(path.join(project, "requirements.txt"), `${lines.join("\n")}\n`);
}

/** What was installed is whole and runs. */
async function tryOut(venv: string): Promise<void> {
  const python = path.join(venv, "bin/python");
  await run(venv, [python, "-c", "import docopt, flask, numpy, pandas, scipy, sqlalchemy"]);
  await run(venv, [python, "-m", "pip", "check"]);
}

export const pip: Ecosystem = {
  id: "E5",
  name: "pip, downloads and built wheels",
  program: "python3",
  outputs: ["venv"],
  write,
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
    await tryOut(path.join(project, "venv"));
  },
};

/** Each file is as its package says, and what was compiled is of these sources (Python holds it against their times). */
const CHECK = `
import base64, hashlib, importlib.metadata, importlib.util, os, pathlib, struct, sys
for package in importlib.metadata.distributions():
    for file in package.files or []:
        # Some packages bring what pip then compiles anew.
        if file.hash is None or file.suffix == ".pyc":
            continue
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            sys.exit(f"{file} of {package.name} is not as it was installed")
for compiled in pathlib.Path(sys.prefix).rglob("__pycache__/*.pyc"):
    flags, time = struct.unpack("<II", compiled.read_bytes()[4:12])
    source = importlib.util.source_from_cache(str(compiled))
    if flags == 0 and int(os.stat(source).st_mtime) != time:
        sys.exit(f"{compiled} was compiled of another {source}")
`;

export const pipVenv: Ecosystem = {
  id: "E5",
  name: "pip, the virtual environment",
  program: "python3",
  parameters: { compare: "exact" },
  outputs: [],
  write,
  build: async (project, cache) => {
    const venv = path.join(cache, "venv");
    if (!existsSync(venv)) await run(project, ["python3", "-m", "venv", venv]);
    const options = ["--quiet", "--require-hashes", "--no-cache-dir", "-r", "requirements.txt"];
    await run(project, [path.join(venv, "bin/python"), "-m", "pip", "install", ...options]);
    await tryOut(venv);
  },
  verify: async (project, cache) => {
    await run(project, [path.join(cache, "venv/bin/python"), "-c", CHECK]);
  },
};
