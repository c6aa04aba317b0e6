// The story that `make demo` tells: that it is true, and that nothing of it stays, wherever it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { putProgram } from "../testing/program.ts";
import { contentOf, makeFolders } from "./demo-files.ts";
import { refusal, step } from "./demo-voice.ts";
import { mountsUnder } from "./mounts.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-demo-test-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

type Told = { readonly text: string; readonly status: number | null };

/** Tells the story until it has said this, and stops it then with all its programs, as Ctrl-C does; all it said. */
async function tell(options: { readonly until?: string; readonly programs?: string }): Promise<Told> {
  const story = spawn(process.execPath, [path.join(import.meta.dirname, "demo.ts")], {
    // Without what the plugins of this test run share: the first start on a node is a part of the story.
    env: {
      ...process.env,
      LARDER_TEST_COMPILED: undefined,
      TMPDIR: folder,
      PATH: `${options.programs ?? ""}:${process.env["PATH"]}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(story, "close");
  let text = "";
  for (const stream of [story.stdout, story.stderr])
    stream.setEncoding("utf8").on("data", (more: string) => {
      const wasSaid = options.until !== undefined && text.includes(options.until);
      text += more;
      if (!wasSaid && options.until !== undefined && text.includes(options.until))
        process.kill(-(story.pid ?? 0), "SIGINT");
    });
  const [status] = (await ended) as [number | null];
  return { text, status };
}

/** Processes that have anything to do with the folder. */
async function processesOf(place: string): Promise<readonly string[]> {
  const numbers = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const found = numbers.map(async (number) => {
    const told = ["cmdline", "environ"].map((name) =>
      readFile(`/proc/${number}/${name}`, "utf8").catch(() => ""),
    );
    return (await Promise.all(told)).some((text) => text.includes(place)) ? [number] : [];
  });
  return (await Promise.all(found)).flat();
}

async function expectNothingLeft(): Promise<void> {
  expect(await mountsUnder(folder)).toEqual([]);
  // A process that was killed may take a moment to be gone.
  await expect.poll(() => processesOf(folder)).toEqual([]);
  // What Node keeps compiled is its own affair.
  expect((await readdir(folder)).filter((name) => name.startsWith("larder-"))).toEqual([]);
}

describe("the story", () => {
  it("tells what happened, in the product's own words, and takes everything down when it is stopped", async () => {
    const { text, status } = await tell({ until: "the right password" });
    await makeFolders(path.join(folder, "dataset"), 2_000);
    const content = await contentOf(path.join(folder, "dataset"));
    expect(content).toMatch(/^2,000 files, [3-4]\.\d MB$/);
    expect(text).toContain(`    ${content}, at the pod's own path\n`);
    expect(text).toMatch(/it runs: "Version: +1\.3\.3"/);
    expect(text).toContain("linux/");
    expect(text).toMatch(/writing into the volume:\n {4}EROFS: read-only/);
    expect(text).toMatch(
      /a wrong name:\n {4}NOT_FOUND: Cannot resolve 127\.0\.0\.1:\d+\/team\/datset:v1: the registry answered 404 .*check the name/,
    );
    expect(text).toMatch(
      /a wrong password:\n {4}UNAUTHENTICATED: Cannot resolve 127\.0\.0\.1:\d+\/team\/secret:v1: the registry answered 401 /,
    );
    expect(text).not.toContain("guess");
    expect(text).toContain("\n\nStopped by SIGINT; everything was taken down.\n");
    expect(status).toBe(1);
    await rm(path.join(folder, "dataset"), { recursive: true });
    await expectNothingLeft();
  });

  it("says in a sentence that it was stopped, also where that ended the program of a step", async () => {
    const { text, status } = await tell({ until: "oras push: a folder of 2,000 files" });
    expect(text).toMatch(
      /2,000 files …\.*( stopped| \d+ ms)\n\nStopped by SIGINT; everything was taken down\.\n/,
    );
    expect(text).not.toContain("    at ");
    expect(status).toBe(1);
    await expectNothingLeft();
  });

  it("takes everything down when a step fails, and says which", async () => {
    const programs = path.join(folder, "programs");
    putProgram(
      programs,
      "oras",
      "[ $1 != version ] || exec echo 'Version: 1.3.3'\necho 'Error: no' >&2; exit 1",
    );
    const { text, status } = await tell({ programs });
    expect(text).toMatch(/oras push: a folder of 2,000 files …\.* failed\n/);
    expect(status).toBe(1);
    await rm(programs, { recursive: true });
    await expectNothingLeft();
  });
});

describe("its voice", () => {
  let said: string;
  beforeEach(() => {
    said = "";
    vi.spyOn(console, "log").mockImplementation((text: string) => void (said += `${text}\n`));
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });
  afterEach(() => void vi.useRealTimers());

  it("step() says what is done, every two seconds that it still is, and how long it took", async () => {
    vi.useFakeTimers();
    const working = step("a long step", () => new Promise((resolve) => setTimeout(resolve, 5_000)));
    await vi.advanceTimersByTimeAsync(4_500);
    expect(said).toBe("  a long step …..");
    await vi.advanceTimersByTimeAsync(500);
    await working;
    expect(said).toMatch(/^ {2}a long step …\.\. \d+ ms\n$/);
  });

  it("step() passes on what failed, and says that it did", async () => {
    await expect(step("a step", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(said).toBe("  a step … failed\n");
  });

  it("refusal() says the code and the words of the refusal, and fails where there is none", async () => {
    const refused = Object.assign(new Error("Cannot: why; what helps"), { code: "NOT_FOUND" });
    await refusal("a wrong name", () => Promise.reject(refused));
    expect(said).toBe("  a wrong name:\n    NOT_FOUND: Cannot: why; what helps\n");
    await expect(refusal("writing", async () => {})).rejects.toThrow("writing should have been refused");
  });
});
