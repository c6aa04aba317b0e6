// make demo: the whole story on one machine, with a real registry, real mounts and the figures as they were.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openRealRegistry } from "../testing/real-registry.ts";
import { tool } from "../testing/tool.ts";
import { tellClaims } from "./demo-claims.ts";
import { takeDown } from "./demo-end.ts";
import { say, step, stopOnSignals, stoppedBy } from "./demo-voice.ts";
import { makeArtifacts, tellVolumes } from "./demo-volumes.ts";
import { openPlugin } from "./plugin.ts";

stopOnSignals();
const folder = await mkdtemp(path.join(os.tmpdir(), "larder-demo-"));
try {
  say("Larder: OCI artifacts become volumes, and volumes become artifacts again\n");
  say("A registry on loopback, and artifacts made with the plain ORAS CLI:");
  await chmod(folder, 0o755);
  const oras = await tool("oras");
  await using open = await step("two registries start (one asks for a password)", () => openRealRegistry());
  await using closed = await openRealRegistry({ password: true });
  const stage = { folder, oras, open, closed };
  await makeArtifacts(stage);
  const registries = [open, closed].map(({ host }) => ({ match: host, plainHttp: true }));
  // A pool of its own size would take a quarter of this machine's disk for a minute's story.
  const options = { settings: { registries, oras, quota: "auto", pool: { size: "1Gi" } } };
  say("\nThe node plugin, as a node runs it:");
  await using plugin = await step("it starts and answers on its socket", () => openPlugin(options));
  const volumes = await tellVolumes(plugin, stage);
  await tellClaims(plugin, stage, options);
  await takeDown(plugin, volumes);
  say("\nThe README has the YAML for a cluster.");
} catch (error) {
  if (stoppedBy() === undefined) throw error;
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
  if (stoppedBy() !== undefined) say(`\nStopped by ${stoppedBy()}; everything was taken down.`);
}
