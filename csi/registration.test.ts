// The registration as the kubelet goes about it.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../lib/core/failure.ts";
import { openRegistration } from "./registration.ts";
import { DoorClient } from "./testing/client.ts";
import { openTestLog } from "./testing/door.ts";

const GET_INFO = "pluginregistration.Registration/GetInfo";
const NOTIFY = "pluginregistration.Registration/NotifyRegistrationStatus";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "larder-registry-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function open() {
  const { log, lines } = openTestLog();
  const deps = { log, metrics: { countCall: () => undefined, countRefusal: () => undefined }, now: Date.now };
  const options = {
    driver: "csi.larder.test",
    endpoint: "/var/lib/kubelet/plugins/larder/csi.sock",
    directory,
  };
  const registration = await openRegistration(deps, options);
  const kubelet = new DoorClient(
    path.join(directory, "csi.larder.test-reg.sock"),
    "pluginregistration.proto",
  );
  return { registration, kubelet, lines };
}

describe("openRegistration()", () => {
  it("tells the kubelet who the driver is and where it answers", async () => {
    const { registration, kubelet } = await open();
    await using _ = registration;
    using client = kubelet;
    expect(await client.call(GET_INFO)).toEqual({
      type: "CSIPlugin",
      name: "csi.larder.test",
      endpoint: "/var/lib/kubelet/plugins/larder/csi.sock",
      supported_versions: ["1.0.0"],
    });
  });

  it("has a problem until the kubelet has registered the driver", async () => {
    const { registration, kubelet } = await open();
    await using _ = registration;
    using client = kubelet;
    expect(registration.problem()).toContain("has not asked");
    await client.call(NOTIFY, { plugin_registered: true });
    expect(registration.problem()).toBeUndefined();
  });

  it("tells a refusal in the kubelet's words, and takes its next word", async () => {
    const { registration, kubelet, lines } = await open();
    await using _ = registration;
    using client = kubelet;
    await client.call(NOTIFY, { plugin_registered: false, error: "name is taken" });
    expect(registration.problem()).toContain("name is taken");
    expect(lines.filter(({ level }) => level === "error")).toMatchObject([
      { fields: { why: "name is taken" } },
    ]);
    await client.call(NOTIFY, { plugin_registered: true });
    expect(registration.problem()).toBeUndefined();
  });

  it("takes its socket away at the end, so that the kubelet forgets the driver", async () => {
    const { registration, kubelet } = await open();
    kubelet[Symbol.dispose]();
    expect(await readdir(directory)).toEqual(["csi.larder.test-reg.sock"]);
    await registration[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual([]);
  });

  it("notices that its socket was taken away", async () => {
    const { registration, kubelet } = await open();
    kubelet[Symbol.dispose]();
    await using _ = registration;
    expect(await registration.isInPlace()).toBe(true);
    await rm(path.join(directory, "csi.larder.test-reg.sock"));
    expect(await registration.isInPlace()).toBe(false);
  });

  it("refuses a second plugin of the same driver, and a directory that is not there", async () => {
    const one = await open();
    one.kubelet[Symbol.dispose]();
    await using _ = one.registration;
    await expect(open()).rejects.toSatisfy((error) => isFailure(error, "in-use"));
    const there = directory;
    directory = path.join(there, "missing");
    await expect(open()).rejects.toSatisfy((error) => isFailure(error, "not-found"));
    directory = there;
  });
});
