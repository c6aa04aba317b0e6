// Binding, unmounting and syncing as system calls; the caller's thread waits in them.
import { constants } from "node:fs";
import { encodePath } from "../core/path-bytes.ts";
import { openAt, openPlace, owned } from "./descriptors.ts";
import { errorCode } from "./errno.ts";
import {
  attribute,
  closeOnExec,
  mountSetattr,
  moveMount,
  openTree,
  openTreeClone,
  propagatePrivate,
  syncfs,
  umount,
} from "./mount-syscalls.ts";
import type { BindRequest, MountFlags } from "./mounts.ts";

export function unmount(target: string): void {
  umount(encodePath(target));
}

export function syncFilesystem(path: string): void {
  using file = openAt(path, constants.O_RDONLY | constants.O_NONBLOCK);
  syncfs(file.fd);
}

export function mountBind({ source, target, flags }: BindRequest): void {
  using place = openPlace(target);
  using clone = owned(openTree(encodePath(source), openTreeClone | closeOnExec));
  // Private before it is attached: a clone is a peer of what it was cloned from, and mounts would pass between them.
  mountSetattr(clone.fd, { set: attributesOf(flags), propagation: propagatePrivate });
  allow(clone.fd, flags);
  moveMount(clone.fd, place.fd);
}

/** Lifts what the clone has from the mount of its source, such as the pool's, and is not to have. */
function allow(clone: number, { noSuid, noDev }: MountFlags): void {
  const clear = (noSuid ? 0 : attribute.noSuid) | (noDev ? 0 : attribute.noDev);
  try {
    if (clear !== 0) mountSetattr(clone, { clear });
  } catch (error) {
    // In a user namespace, what the mount had outside of it is locked.
    if (errorCode(error) !== "EPERM") throw error;
  }
}

/** As mount_setattr, fsmount and mount take them alike. */
export function attributesOf(flags: MountFlags): number {
  return (
    (flags.readOnly ? attribute.readOnly : 0) |
    (flags.noSuid ? attribute.noSuid : 0) |
    (flags.noDev ? attribute.noDev : 0)
  );
}
