// The memory twin of SELinux: a node that has it or has not, and the labels of its directories.
import { Failure } from "../core/failure.ts";
import { isSelinuxLabel, type Selinux } from "./selinux.ts";

export class MemorySelinux implements Selinux {
  isOn = true;
  readonly labels = new Map<string, string>();
  /** Told before it is labelled. */
  onLabel: (path: string) => void = () => {};
  /** What labelling ends with. */
  trouble: Failure | undefined;

  labelDirectory(path: string, label: string): void {
    this.onLabel(path);
    if (this.trouble !== undefined) throw this.trouble;
    if (!isSelinuxLabel(label)) throw new Failure("invalid", `Cannot label "${path}" as "${label}"`);
    this.labels.set(path, label);
  }
}
