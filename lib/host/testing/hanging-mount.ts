// A file system that answers nothing (FUSE without a daemon): calls on it hang, as on a disk that is gone.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { checked, cpath, libcFunction } from "../libc.ts";

const mount = libcFunction(
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)",
);

/** Mounts it at a directory made for it. Disposed of, every call on it returns with an error; it stays mounted. */
export function openHangingMount(target: string): Disposable {
  mkdirSync(target);
  let fd: number | undefined = openSync("/dev/fuse", "r+");
  const options = `fd=${fd},rootmode=40000,user_id=0,group_id=0`;
  checked("mount", mount(cpath("fuse"), cpath(target), cpath("fuse"), 0, cpath(options)));
  return {
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
