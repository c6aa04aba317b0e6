import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { type FakeProgram, fakeProcesses } from "../host/processes.fake.ts";
import { openProcesses } from "../host/processes.linux.ts";
import type { CredentialProvider } from "../settings/credential-providers.ts";
import { openCredentialPlugins } from "./credential-plugins.ts";

const V1 = "credentialprovider.kubelet.k8s.io/v1";
const answerOf = (more: object) =>
  JSON.stringify({
    kind: "CredentialProviderResponse",
    apiVersion: V1,
    cacheKeyType: "Image",
    auth: { "*.example.com": { username: "u", password: "hush" } },
    ...more,
  });

const provider = (more: Partial<CredentialProvider> = {}): CredentialProvider => ({
  name: "ecr",
  matchImages: ["*.example.com"],
  defaultCacheMs: 0,
  apiVersion: V1,
  args: ["get"],
  env: { AWS_PROFILE: "nodes" },
  ...more,
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-plugins-"));
});
afterEach(async () => {
  expect(await readdir(path.join(folder, "attempts")).catch(() => [])).toEqual([]);
  await rm(folder, { recursive: true });
});

function open(
  programs: Readonly<Record<string, FakeProgram>>,
  providers: readonly CredentialProvider[],
  at = { ms: 0 },
  more: { readonly timeoutMs?: number } = {},
) {
  const named = Object.entries(programs).map(([name, program]) => [`/bin-dir/${name}`, program]);
  const processes = fakeProcesses(Object.fromEntries(named) as Record<string, FakeProgram>);
  const deps = {
    processes,
    attempts: path.join(folder, "attempts"),
    env: { PATH: "/bin" },
    now: () => at.ms,
  };
  return {
    processes,
    plugins: openCredentialPlugins(deps, { providers, binDirectory: "/bin-dir", ...more }),
  };
}

const printing =
  (text: string): FakeProgram =>
  async ({ print }) => {
    await print(text);
    return 0;
  };

const exiting: FakeProgram = ({ printError }) => {
  printError("no role");
  return 7;
};
const hanging: FakeProgram = ({ signal }) =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(1)));

describe("CredentialPlugins", () => {
  it("find() asks a real program by the kubelet's protocol", async () => {
    const program = path.join(folder, "ecr");
    const script = `#!/bin/sh\nread -r asked\ncat > /dev/null\n[ "$1 $AWS_PROFILE $REGION" = "get nodes eu" ] || exit 9
case "$asked" in *'"image":"a.example.com/x"'*) ;; *) exit 8 ;; esac\ncat <<'END'\n${answerOf({})}\nEND\n`;
    await writeFile(program, script);
    await chmod(program, 0o755);
    const plugins = openCredentialPlugins(
      {
        processes: openProcesses(),
        attempts: path.join(folder, "attempts"),
        env: { PATH: "/usr/bin:/bin", REGION: "eu" },
        now: () => 0,
      },
      { providers: [provider()], binDirectory: folder },
    );
    expect(await plugins.find("a.example.com", "x")).toEqual([
      {
        plugin: "ecr",
        entries: [{ key: "*.example.com", credentials: { kind: "basic", username: "u", password: "hush" } }],
      },
    ]);
  });

  it("find() sends a CredentialProviderRequest of the version that the plugin is configured with", async () => {
    const apiVersion = "credentialprovider.kubelet.k8s.io/v1beta1";
    const { plugins, processes } = open({ ecr: printing(answerOf({ apiVersion })) }, [
      provider({ apiVersion }),
    ]);
    await plugins.find("a.example.com", "x/y");
    expect(JSON.parse(processes.calls[0]?.stdin as string)).toEqual({
      kind: "CredentialProviderRequest",
      apiVersion,
      image: "a.example.com/x/y",
    });
  });

  it("find() asks none whose images do not match", async () => {
    const { plugins, processes } = open({ ecr: printing(answerOf({})) }, [provider()]);
    expect(await plugins.find("quay.io", "x")).toEqual([]);
    expect(processes.calls).toEqual([]);
  });

  it.each([
    ["Image", 3],
    ["Registry", 2],
    ["Global", 1],
  ])(
    "find() asks again, where cacheKeyType is %s, only for what the answer was not for",
    async (cacheKeyType, asked) => {
      const answer = printing(answerOf({ cacheKeyType, cacheDuration: "5m" }));
      const { plugins, processes } = open({ ecr: answer }, [provider()]);
      for (const image of ["x", "x", "y"]) await plugins.find("a.example.com", image);
      await plugins.find("b.example.com", "x");
      expect(processes.calls).toHaveLength(asked);
    },
  );

  it.each([
    ["the answer's time", { cacheDuration: "1m" }, 3_600_000],
    ["the configured time where it says none", {}, 60_000],
  ])(
    "find() asks again once %s is over, and when the clock was set back",
    async (_what, more, defaultCacheMs) => {
      const at = { ms: 1_000_000 };
      const { plugins, processes } = open(
        { ecr: printing(answerOf(more)) },
        [provider({ defaultCacheMs })],
        at,
      );
      const asked = async (ms: number) => {
        at.ms = ms;
        await plugins.find("a.example.com", "x");
        return processes.calls.length;
      };
      expect(await asked(1_000_000)).toBe(1);
      expect(await asked(1_059_999)).toBe(1);
      expect(await asked(1_060_000)).toBe(2);
      expect(await asked(500_000)).toBe(3);
    },
  );

  it("find() keeps nothing for a duration of 0s", async () => {
    const answer = printing(answerOf({ cacheDuration: "0s" }));
    const { plugins, processes } = open({ ecr: answer }, [provider({ defaultCacheMs: 60_000 })]);
    await plugins.find("a.example.com", "x");
    await plugins.find("a.example.com", "x");
    expect(processes.calls).toHaveLength(2);
  });

  it("find() asks once for many at once, and once for a registry whose answer is good for all of it", async () => {
    const image = open({ ecr: printing(answerOf({})) }, [provider()]);
    await Promise.all(Array.from({ length: 20 }, () => image.plugins.find("a.example.com", "x")));
    expect(image.processes.calls).toHaveLength(1);
    const registry = printing(answerOf({ cacheKeyType: "Registry", cacheDuration: "1h" }));
    const all = open({ ecr: registry }, [provider()]);
    await Promise.all(Array.from({ length: 20 }, (_, at) => all.plugins.find("a.example.com", `x${at}`)));
    expect(all.processes.calls).toHaveLength(1);
  });

  it("find() asks again after a failure", async () => {
    let runs = 0;
    const ecr: FakeProgram = async ({ print }) => {
      runs += 1;
      await print(answerOf({}));
      return runs === 1 ? 1 : 0;
    };
    const { plugins } = open({ ecr }, [provider()]);
    await expect(plugins.find("a.example.com", "x")).rejects.toThrow("exited with 1");
    expect(await plugins.find("a.example.com", "x")).toHaveLength(1);
  });

  it.each([
    ["exits with a code", exiting, "exited with 7"],
    ["prints no JSON", printing("hush"), "no JSON object"],
    ["prints nothing", printing(""), "no JSON object"],
    ["prints too much", printing("x".repeat(2_000_000)), "more than"],
    ["answers another kind", printing(answerOf({ kind: "Secret" })), "no CredentialProviderResponse"],
    ["answers another version", printing(answerOf({ apiVersion: "v9" })), "no CredentialProviderResponse"],
    ["answers without a scope", printing(answerOf({ cacheKeyType: "Moon" })), "cacheKeyType"],
    ["answers a wrong duration", printing(answerOf({ cacheDuration: "soon" })), "cacheDuration"],
    [
      "answers wrong entries",
      printing(answerOf({ auth: { x: { username: 1 } } })),
      "no username or password",
    ],
    ["answers a list", printing(answerOf({ auth: [] })), "no object"],
  ])("find() is unavailable, naming plugin and image, when it %s", async (_how, program, why) => {
    const { plugins } = open({ ecr: program }, [provider()]);
    await expect(plugins.find("a.example.com", "x")).rejects.toSatisfy(
      (error) =>
        isFailure(error, "unavailable") &&
        error.message.startsWith(
          'Cannot get credentials for "a.example.com/x" from the credential provider "ecr": ',
        ) &&
        error.message.includes(why) &&
        !error.message.includes("hush"),
    );
  });

  it("find() is unavailable, naming the plugin, when it does not answer in time", async () => {
    const { plugins } = open({ ecr: hanging }, [provider()], { ms: 0 }, { timeoutMs: 50 });
    await expect(plugins.find("a.example.com", "x")).rejects.toSatisfy(
      (error) =>
        isFailure(error, "unavailable") && error.message.includes('"ecr": it did not answer within 0.05 s'),
    );
  });

  it("find() is unavailable when the program is missing, and says so", async () => {
    await expect(open({}, [provider()]).plugins.find("a.example.com", "x")).rejects.toThrow(
      "no such program",
    );
  });

  it("find() takes what one gives when another fails, and gives all that answer in the order configured", async () => {
    const programs = {
      bad: (() => 1) as FakeProgram,
      ecr: printing(answerOf({})),
      gcr: printing(answerOf({})),
    };
    const { plugins } = open(
      programs,
      ["bad", "gcr", "ecr"].map((name) => provider({ name })),
    );
    const found = await plugins.find("a.example.com", "x");
    expect(found.map(({ plugin }) => plugin)).toEqual(["gcr", "ecr"]);
  });

  it.each([
    [{ auth: null }],
    [{ auth: {} }],
    [{ auth: { "*.example.com": { username: "", password: "" } } }],
  ])("find() gives nothing for an answer of %j", async (more) => {
    expect(
      await open({ ecr: printing(answerOf(more)) }, [provider()]).plugins.find("a.example.com", "x"),
    ).toEqual([]);
  });
});
