// Runs csi-sanity, the community's suite for CSI drivers, against a socket and reads its verdicts.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

export type Spec = {
  readonly name: string;
  /** `skipped` is the suite's own choice, by what the driver reports; `left-out` is ours. */
  readonly state: "passed" | "failed" | "skipped" | "left-out" | "pending";
  /** Why it failed, or why it was skipped. */
  readonly why: string;
};

/** A part of a spec's full name, and why the specs with it are left out. */
export type LeftOut = readonly [part: string, why: string];

type Report = ReadonlyArray<{
  readonly SpecReports: ReadonlyArray<{
    readonly LeafNodeType: string;
    readonly ContainerHierarchyTexts: readonly string[] | null;
    readonly LeafNodeText: string;
    readonly State: string;
    readonly Failure?: { readonly Message?: string };
  }>;
}>;

/** Builds the suite where it is not built yet, and prints where it lies. */
export async function buildSanity(): Promise<string> {
  const top = fileURLToPath(new URL("../..", import.meta.url));
  const { stdout } = await execa(path.join(top, "tools/build"), ["csi-sanity"]);
  return stdout.trim();
}

/** Every spec of the suite with its verdict. `directory` must be there; the suite makes its own in it. */
export async function runSanity(
  program: string,
  options: { readonly socket: string; readonly directory: string; readonly leftOut: readonly LeftOut[] },
): Promise<Spec[]> {
  const report = path.join(options.directory, "sanity.json");
  const skip = options.leftOut.map(([part]) => RegExp.escape(part).replaceAll("/", "\\/"));
  const { all } = await execa(
    program,
    [
      `--csi.endpoint=unix://${options.socket}`,
      `--csi.mountdir=${path.join(options.directory, "mount")}`,
      `--csi.stagingdir=${path.join(options.directory, "staging")}`,
      `--ginkgo.json-report=${report}`,
      "--ginkgo.no-color",
      ...skip.map((pattern) => `--ginkgo.skip=${pattern}`),
    ],
    { all: true, reject: false, stdin: "ignore" },
  );
  const text = await readFile(report, "utf8").catch(() => {
    throw new Error(`csi-sanity left no report; it said:\n${all}`);
  });
  return (JSON.parse(text) as Report).flatMap(({ SpecReports }) =>
    SpecReports.flatMap(toSpec(options.leftOut)),
  );
}

const toSpec = (leftOut: readonly LeftOut[]) => (spec: Report[number]["SpecReports"][number]) => {
  if (spec.LeafNodeType !== "It") return [];
  const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
  const ours = leftOut.find(([part]) => name.includes(part));
  const state = spec.State === "skipped" && ours !== undefined ? "left-out" : spec.State;
  return [{ name, state, why: ours?.[1] ?? spec.Failure?.Message ?? "" } as Spec];
};
