// SELinux: whether it is on, and the label of the store. The labels' effect has never been run here, for no kernel of
// ours has SELinux: what is tested is how the node is asked and that the label is written.
import { readFileSync } from "node:fs";
import { Failure } from "../core/failure.ts";
import { encodePath } from "../core/path-bytes.ts";
import { errorCode, failureOf } from "./errno.ts";
import { checked, cpath, libcFunction } from "./libc.ts";

const lsetxattr = libcFunction(
  "int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)",
);

export interface Selinux {
  readonly isOn: boolean;
  /**
   * Gives a directory its label; what is made in it from then on has the same. Repeating is safe. `invalid` for a label
   * that is none or that the node's policy does not know, `unsupported` where the file system keeps none.
   */
  labelDirectory(path: string, label: string): void;
}

export const linuxSelinux = (): Selinux => ({ isOn: hasSelinux(), labelDirectory });

/** Whether the kernel enforces or warns by SELinux: it registers its file system only then, mounted here or not. */
export function hasSelinux(): boolean {
  return parseFilesystems(readFileSync("/proc/filesystems", "latin1")).has("selinuxfs");
}

/** The names in /proc/filesystems. */
export function parseFilesystems(text: string): ReadonlySet<string> {
  return new Set(text.split("\n").flatMap((line) => line.split("\t").slice(1)));
}

/** Whether the text is a whole label: user, role, type and, where there is one, a level. */
export function isSelinuxLabel(text: string): boolean {
  return /^[\w.-]+:[\w.-]+:[\w.-]+(:[\w.:,-]+)?$/.test(text) && text.length <= 255;
}

/** As Selinux says. */
export function labelDirectory(path: string, label: string): void {
  const attempt = `Cannot label "${path}" as "${label}"`;
  if (!isSelinuxLabel(label))
    throw new Failure(
      "invalid",
      `${attempt}: a label reads user:role:type:level, such as system_u:object_r:container_file_t:s0`,
    );
  const value = cpath(label);
  try {
    checked(
      "lsetxattr",
      lsetxattr(cpath(encodePath(path)), cpath("security.selinux"), value, value.length, 0),
    );
  } catch (error) {
    throw labelFailure(error, attempt);
  }
}

function labelFailure(error: unknown, attempt: string): unknown {
  switch (errorCode(error)) {
    case "EINVAL":
      return new Failure("invalid", `${attempt}: the node's policy does not know this label`, {
        cause: error,
      });
    case "ENOTSUP":
    case "EOPNOTSUPP":
      return new Failure(
        "unsupported",
        `${attempt}: its file system keeps no labels; put the root on ext4 or XFS`,
        { cause: error },
      );
    default:
      return failureOf(error, attempt);
  }
}
