// Opens a pool and is killed right after one step of it: what a test starts to see a start cut short for real.
import { BlockingThreads } from "../blocking.ts";
import { LinuxLoopDevices } from "../loop-devices.linux.ts";
import { LinuxMounts } from "../mounts.linux.ts";
import { LinuxPools } from "../pool.linux.ts";
import { openProcesses } from "../processes.linux.ts";
import { linuxQuotas } from "../quotas.linux.ts";

const [image = "", mountPoint = "", bytes, last] = process.argv.slice(2);
const pools = new LinuxPools({
  loops: new LinuxLoopDevices(),
  mounts: new LinuxMounts(new BlockingThreads({ patienceMs: 1000 })),
  quotas: linuxQuotas,
  processes: openProcesses(),
  onStep: (step) => {
    if (step === last) process.kill(process.pid, "SIGKILL");
  },
});
await pools.open({ image, mountPoint, bytes: Number(bytes), floorBytes: 1024 * 1024 });
