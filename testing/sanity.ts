// Runs csi-sanity, the community's suite for CSI drivers, against a socket and reads its verdicts.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { tool } from "./tool.ts";

export type Spec = {
  readonly name: string;
  /** `skipped` is the suite's own choice, by what the driver reports. */
  readonly state: "passed" | "failed" | "skipped" | "pending";
  /** Why it failed, or why it was skipped. */
  readonly why: string;
};

export type SanityOptions = {
  /** Where the driver serves Identity, Controller and Node. */
  readonly socket: string;
  /** Empty, in the driver's own mount namespace; the suite makes its targets in it and takes them away again. */
  readonly directory: string;
  readonly sizeBytes?: number;
  readonly expandedBytes?: number;
  /** What a StorageClass would say. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** What a VolumeAttributesClass would say. */
  readonly mutable?: Readonly<Record<string, string>>;
  /** Handed over with every call that may have some. */
  readonly secrets?: Readonly<Record<string, string>>;
};

type Report = ReadonlyArray<{
  readonly SpecReports: ReadonlyArray<{
    readonly LeafNodeType: string;
    readonly ContainerHierarchyTexts: readonly string[] | null;
    readonly LeafNodeText: string;
    readonly State: string;
    readonly Failure?: { readonly Message?: string };
  }>;
}>;

const CALLS_WITH_SECRETS = [
  "CreateVolumeSecret",
  "DeleteVolumeSecret",
  "ControllerValidateVolumeCapabilitiesSecret",
  "ControllerModifyVolumeSecret",
  "NodeStageVolumeSecret",
  "NodePublishVolumeSecret",
];

/** Every spec of the suite with its verdict. */
export async function runSanity(options: SanityOptions): Promise<Spec[]> {
  const { socket, directory, sizeBytes = 2 ** 30, expandedBytes = 2 * sizeBytes } = options;
  const report = path.join(directory, "sanity.json");
  const { all } = await execa(
    await tool("csi-sanity"),
    [
      `--csi.endpoint=unix://${socket}`,
      `--csi.mountdir=${path.join(directory, "mount")}`,
      `--csi.stagingdir=${path.join(directory, "staging")}`,
      `--csi.testvolumesize=${sizeBytes}`,
      `--csi.testvolumeexpandsize=${expandedBytes}`,
      ...(await filesFor(options)),
      `--ginkgo.json-report=${report}`,
      "--ginkgo.no-color",
    ],
    { all: true, reject: false, stdin: "ignore" },
  );
  const text = await readFile(report, "utf8").catch(() => {
    throw new Error(`csi-sanity left no report; it said:\n${all}`);
  });
  return (JSON.parse(text) as Report).flatMap(({ SpecReports }) => SpecReports.flatMap(toSpec));
}

/** The options that name files, which are YAML and therefore may be JSON. */
async function filesFor({ directory, parameters, mutable, secrets }: SanityOptions): Promise<string[]> {
  const contents = {
    testvolumeparameters: parameters,
    testvolumemutableparameters: mutable,
    secrets: secrets && Object.fromEntries(CALLS_WITH_SECRETS.map((call) => [call, secrets])),
  };
  const made: string[] = [];
  for (const [option, content] of Object.entries(contents)) {
    if (content === undefined) continue;
    const file = path.join(directory, `${option}.yaml`);
    await writeFile(file, JSON.stringify(content), { mode: 0o600 });
    made.push(`--csi.${option}=${file}`);
  }
  return made;
}

function toSpec(spec: Report[number]["SpecReports"][number]): Spec[] {
  if (spec.LeafNodeType !== "It") return [];
  const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
  return [{ name, state: spec.State, why: spec.Failure?.Message ?? "" } as Spec];
}

/** What no release of this driver reports, in the suite's words for it. */
const NOT_REPORTED: ReadonlySet<string> = new Set([
  "ListVolumes not supported",
  "Snapshot not supported",
  "ListSnapshots not supported",
  "GetSnapshot not supported",
  "CreateSnapshot not supported",
  "DeleteSnapshot not supported",
  "Volume Cloning not supported",
  "ControllerPublishVolume not supported",
  "ControllerUnpublishVolume not supported",
  "Controller Publish, UnpublishVolume not supported",
  "ControllerExpandVolume not supported",
  "ControllerListVolumeHealth not supported",
  "ControllerGetVolumeHealth not supported",
  "NodeGetVolumeHealth not supported",
  "NodeGetStorageHealth not supported",
  "GroupControllerService not supported",
]);

/** What keeps a run from being whole: each failure, and each spec that was skipped although we report what it tests. */
export function unmetIn(specs: readonly Spec[]): readonly Spec[] {
  return specs.filter(({ state, why }) => {
    // The suite's own authors have set their one pending spec aside.
    if (state === "passed" || state === "pending") return false;
    return state !== "skipped" || !NOT_REPORTED.has(why);
  });
}
