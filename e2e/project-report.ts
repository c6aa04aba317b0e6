// What a file system charges and limits by project, as its own tools tell it.
import { execa } from "execa";

export type ProjectReport = {
  readonly usedBytes: number;
  /** 0 for none. */
  readonly limitBytes: number;
};

/** Every project that uses something or is limited, on the file system that is mounted there. */
export async function projectsOn(mountPoint: string): Promise<ReadonlyMap<number, ProjectReport>> {
  const told = await xfsQuota("report -p -n -N -b", mountPoint);
  const rows = [...told.matchAll(/^#(\d+)\s+(\d+)\s+\d+\s+(\d+)\s/gm)].map((row) => row.map(Number));
  return new Map(
    rows.map(([, project = 0, used = 0, hard = 0]) => [
      project,
      { usedBytes: used * 1024, limitBytes: hard * 1024 },
    ]),
  );
}

export async function limitProject(mountPoint: string, project: number, bytes: number): Promise<void> {
  await xfsQuota(`limit -p bhard=${bytes} ihard=100 ${project}`, mountPoint);
}

async function xfsQuota(command: string, mountPoint: string): Promise<string> {
  return (await execa("xfs_quota", ["-x", "-c", command, mountPoint])).stdout;
}
