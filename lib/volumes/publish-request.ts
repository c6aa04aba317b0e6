// What may be asked of a publish, before anything is looked up: the pod, the path, the way of access.
import path from "node:path";
import { Failure } from "../core/failure.ts";
import { isReader } from "./claim-capability.ts";
import type { PublishRequest } from "./requests.ts";

const EPHEMERAL = "csi.storage.k8s.io/ephemeral";
const POD_UID = "csi.storage.k8s.io/pod.uid";

/** Throws `invalid` or `unsupported`, naming the volume, what is wrong and what helps. */
export function checkPublish(request: PublishRequest): void {
  const refuse = (why: string) =>
    new Failure("invalid", `Cannot publish volume "${request.volumeId}": ${why}`);
  const { capability, attributes } = request;
  if (capability.access === "block") {
    throw refuse(
      "it is asked for as a block device, and artifacts are file systems; use volumeMode: Filesystem",
    );
  }
  const flag = capability.mountFlags.find((option) => option !== "ro");
  if (flag !== undefined) throw refuse(`the mount option "${flag}" is not supported; leave mountOptions out`);
  if (attributes.get(EPHEMERAL) === "true") checkPod(request, refuse);
}

/** Of a volume that is to be written to. Throws `invalid` where the pod may only read it. */
export function refuseReader({ volumeId, readOnly, capability }: PublishRequest): void {
  if (!readOnly && !isReader(capability)) return;
  throw new Failure(
    "invalid",
    `Cannot publish volume "${volumeId}": it is writable, and the pod has it read-only; set readOnly to false, or leave "writable" out`,
  );
}

/** Only the kubelet knows the pod: without it, or under another pod's path, an inline volume is a forgery. */
function checkPod({ attributes, target }: PublishRequest, refuse: (why: string) => Failure): void {
  const pod = attributes.get(POD_UID);
  if (pod === undefined || pod === "") {
    throw refuse(`the attribute "${POD_UID}" is missing; set podInfoOnMount: true on the CSIDriver object`);
  }
  const names = target.split(path.sep);
  const at = names.lastIndexOf("pods");
  if (at < 0 || names[at + 1] !== pod) {
    throw refuse(`the target path "${target}" is not one of pod "${pod}"; leave both to the kubelet`);
  }
}
