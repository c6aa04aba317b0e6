// Runs a command in a mount namespace of its own, so that nothing it mounts can outlive it.
import { spawnSync } from "node:child_process";

/** The command's exit status. Says in a sentence why where this machine has no such namespaces, and ends with 1. */
export function runApart(command: string, args: readonly string[]): number {
  const apart = [
    "--mount",
    "--propagation",
    "private",
    ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]),
  ];
  const probe = spawnSync("unshare", [...apart, "true"], { encoding: "utf8" });
  if (probe.error) {
    console.error("This needs the program unshare; it comes with the package util-linux.");
    return 1;
  }
  if (probe.status !== 0) {
    console.error(`This needs root, or user namespaces, to mount anything: ${probe.stderr.trim()}.`);
    return 1;
  }
  const run = spawnSync("unshare", [...apart, "--fork", "--kill-child", command, ...args], {
    stdio: "inherit",
  });
  return run.status ?? 1;
}
