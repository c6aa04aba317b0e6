// Mounting an overlay: a layer at a time where the kernel can (Linux 6.8), else in one string of options.
import { constants, readSync } from "node:fs";
import { encodePath } from "../core/path-bytes.ts";
import { type Descriptor, openAt, openPlace, owned, pathOf } from "./descriptors.ts";
import { errorCode } from "./errno.ts";
import { attributesOf } from "./mount-calls.ts";
import {
  fsconfigCreate,
  fsconfigSet,
  fsmount,
  fsopen,
  mountOverlayType,
  moveMount,
  openPathOnly,
} from "./mount-syscalls.ts";
import { type OverlayRequest, overlaySource } from "./mounts.ts";

/** fsconfig(2) takes strings of 255 bytes, mount(2) options of a page. */
const longestSetting = 255;
const longestOptions = 4095;
const appendLayer = "lowerdir+";

export function mountOverlay(request: OverlayRequest): void {
  try {
    mountByLayers(request);
  } catch (error) {
    if (!isOlderKernel(error)) throw error;
    mountByOptions(request);
  }
}

function mountByLayers(request: OverlayRequest): void {
  using place = openPlace(request.target);
  using open = new DisposableStack();
  using context = owned(fsopen("overlay"));
  const short = (path: string) => (needsDescriptor(path) ? pathOf(open.use(openLayer(path))) : path);
  const { lower, upper, work } = request;
  try {
    fsconfigSet(context.fd, "source", encodePath(overlaySource));
    for (const layer of lower) fsconfigSet(context.fd, appendLayer, encodePath(short(layer)));
    if (upper !== undefined) fsconfigSet(context.fd, "upperdir", encodePath(short(upper)));
    if (work !== undefined) fsconfigSet(context.fd, "workdir", encodePath(short(work)));
    for (const [key, value] of overlayOptions(request))
      fsconfigSet(context.fd, key, value === undefined ? undefined : encodePath(value));
    fsconfigCreate(context.fd);
    using made = owned(fsmount(context.fd, attributesOf(request.flags)));
    moveMount(made.fd, place.fd);
  } catch (error) {
    if (error instanceof Error) Object.assign(error, { detail: readComplaints(context.fd) });
    throw error;
  }
}

/**
 * The way of older kernels. All layers stand in one page of options, so each by its descriptor's short name: about
 * two hundred of them, and E2BIG for more.
 */
export function mountByOptions(request: OverlayRequest): void {
  using place = openPlace(request.target);
  using open = new DisposableStack();
  const short = (path: string) => pathOf(open.use(openLayer(path)));
  const { lower, upper, work } = request;
  const layers: readonly Option[] = [
    ["lowerdir", lower.map(short).join(":")],
    ...(upper === undefined || work === undefined ? [] : ends(short(upper), short(work))),
  ];
  const options = [...layers, ...overlayOptions(request)]
    .map(([key, value]) => (value === undefined ? key : `${key}=${escapeOption(value)}`))
    .join(",");
  if (options.length > longestOptions)
    throw Object.assign(new Error("E2BIG: mount"), { code: "E2BIG", syscall: "mount" });
  mountOverlayType(pathOf(place), attributesOf(request.flags), encodePath(options));
}

type Option = readonly [key: string, value: string | undefined];

function ends(upper: string, work: string): readonly Option[] {
  return [
    ["upperdir", upper],
    ["workdir", work],
  ];
}

/** Said one and all, since what a kernel does without being told differs by distribution. */
function overlayOptions({ upper, context, redirectDir, volatile }: OverlayRequest): readonly Option[] {
  const redirects = upper === undefined ? "follow" : "on";
  const always: readonly Option[] = [
    ["redirect_dir", redirectDir === true ? redirects : "nofollow"],
    ["metacopy", "off"],
    ["index", "off"],
    ["nfs_export", "off"],
    ["xino", upper === undefined ? "off" : "auto"],
  ];
  const skipSyncs: readonly Option[] = volatile === true ? [["volatile", undefined]] : [];
  const label: readonly Option[] = context === undefined ? [] : [["context", context]];
  return [...always, ...skipSyncs, ...label];
}

/** SELinux categories hold commas (`s0:c1,c2`); in quotes they are no separators. */
function escapeOption(value: string): string {
  return value.includes(",") ? `"${value}"` : value;
}

/** Too long for fsconfig, or with a backslash, which the kernel takes out of `upperdir` and `workdir`. */
function needsDescriptor(path: string): boolean {
  return encodePath(path).length > longestSetting || path.includes("\\");
}

function openLayer(path: string): Descriptor {
  return openAt(path, openPathOnly | constants.O_NOFOLLOW | constants.O_DIRECTORY);
}

/** Before 6.8 the key is unknown; before 6.5 overlays take all their settings as one text, and the key is as unknown. */
function isOlderKernel(error: unknown): boolean {
  const where = error instanceof Error && "syscall" in error ? error.syscall : undefined;
  return (
    errorCode(error) === "EINVAL" && (where === `fsconfig ${appendLayer}` || where === "fsconfig create")
  );
}

/** What the kernel wrote to the descriptor about why, one message a read. */
function readComplaints(context: number): string {
  const messages: string[] = [];
  const buffer = Buffer.alloc(1024);
  try {
    while (messages.length < 16) {
      const length = readSync(context, buffer);
      // Each begins with its level and a space: "e overlay: …".
      messages.push(buffer.toString("utf8", 2, length).trim());
    }
  } catch {
    // ENODATA: no more of them.
  }
  return messages.join("; ");
}
