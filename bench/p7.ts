// P7: 110 publishes at once of one cold artifact: what the registry is asked, and how long the last one waits.
import type { Measured, Row } from "./row.ts";
import { median } from "./row.ts";
import { openRival } from "./sides/model-csi-driver.ts";
import { freshPlugin, publish, volumeOf } from "./sides/plugin.ts";
import type { Pushed, Request, Stage } from "./stage.ts";
import { say, seconds } from "./voice.ts";

const PODS = 110;

type Crowd = { readonly ms: number; readonly timesEachByte: number };
type Volume = { publish(): Promise<void>; unpublish(): Promise<void> };

/** Publishes so many at once and times the last reply; counts how often the registry sent each byte of the blobs. */
async function publishAtOnce(stage: Stage, artifact: Pushed, volumes: readonly Volume[]): Promise<Crowd> {
  let ms = 0;
  const asked = await stage.watched(async () => {
    const began = performance.now();
    await Promise.all(volumes.map((volume) => volume.publish()));
    ms = performance.now() - began;
  });
  await Promise.all(volumes.map((volume) => volume.unpublish()));
  return { ms, timesEachByte: sentOf(asked, artifact) / artifact.bytes };
}

/** Bytes of blobs, without the model's config, which is of no size to speak of. */
function sentOf(asked: readonly Request[], artifact: Pushed): number {
  const ofBlobs = asked.filter(
    (request) => request.method === "GET" && request.path.startsWith(`/v2/bench/${artifact.name}/blobs/`),
  );
  return ofBlobs.filter((request) => request.status < 300).reduce((sum, request) => sum + request.bytes, 0);
}

async function ours(stage: Stage, artifact: Pushed, pods: number): Promise<Crowd> {
  await using plugin = await freshPlugin(stage);
  const volumes = await Promise.all(Array.from({ length: pods }, () => volumeOf(plugin, artifact)));
  const patient = volumes.map((volume) => ({
    publish: () => publish(volume),
    unpublish: () => volume.unpublish(),
  }));
  return await publishAtOnce(stage, artifact, patient);
}

async function theirs(stage: Stage, artifact: Pushed, pods: number): Promise<Crowd> {
  await using rival = await openRival(stage);
  const volumes = Array.from({ length: pods }, () => rival.volume(artifact));
  return await publishAtOnce(stage, artifact, volumes);
}

type Side = (stage: Stage, artifact: Pushed, pods: number) => Promise<Crowd>;

type Compared = { readonly slower: number; readonly timesEachByte: number };

async function crowdAgainstAlone(stage: Stage, artifact: Pushed, side: Side): Promise<Compared> {
  const alone = await side(stage, artifact, 1);
  const crowd = await side(stage, artifact, PODS);
  say(
    `  ${side.name} of ${artifact.name}: one alone ${seconds(alone.ms)}, the last of ${PODS} ${seconds(crowd.ms)}`,
  );
  return { slower: crowd.ms / alone.ms, timesEachByte: crowd.timesEachByte };
}

export const p7: Row = {
  id: "P7",
  measure: async (stage) => {
    const artifact = await stage.artifact("model");
    const tenth = await stage.artifact("tenth");
    const our: Compared[] = [];
    const their: Compared[] = [];
    for (let run = 0; run < stage.runs; run++) {
      our.push(await crowdAgainstAlone(stage, artifact, ours));
      their.push(await crowdAgainstAlone(stage, tenth, theirs));
    }
    const figure = (of: "slower" | "timesEachByte") => ({
      ours: median(our.map((one) => one[of])),
      theirs: median(their.map((one) => one[of])),
    });
    const shared = { id: "P7", unit: "×", peer: "model-csi-driver (a tenth of the size)" } as const;
    const what = `${PODS} publishes at once of 500 MB in 8 layers, cold`;
    return [
      {
        ...shared,
        what: `${what}: times each byte is sent`,
        ...figure("timesEachByte"),
        goals: [
          {
            most: 1,
            of: "ours",
          },
        ],
      },
      {
        ...shared,
        what: `${what}: the last reply against one alone`,
        ...figure("slower"),
        goals: [
          {
            most: 1.2,
            of: "ours",
          },
        ],
      },
    ] satisfies Measured[];
  },
};
