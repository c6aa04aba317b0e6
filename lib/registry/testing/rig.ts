// A reader whose clock only moves when it waits, for tests against doubles.
import type { Access } from "../../core/access.ts";
import { HostBook, type RegistrySettings } from "../hosts.ts";
import { DEFAULT_LIMITS, type LimitOptions, Limits } from "../limits.ts";
import type { Retry } from "../observe.ts";
import { openReader } from "../open-reader.ts";
import type { PersistDeps } from "../persist.ts";
import type { Reader } from "../reader.ts";
import type { TransportOptions } from "../transport.ts";
import type { Upstream } from "../upstream.ts";

export type RigOptions = {
  readonly registries?: readonly RegistrySettings[];
  readonly limits?: Partial<LimitOptions>;
  readonly timeouts?: TransportOptions;
  /** Called before each wait. */
  readonly onWait?: () => void;
  /** The hosts directory, as a literal. */
  readonly files?: Readonly<Record<string, string>>;
};

export class Rig implements AsyncDisposable {
  now = 1_700_000_000_000;
  readonly waits: number[] = [];
  readonly retries: Retry[] = [];
  readonly dead: string[] = [];
  readonly bytesBy = new Map<string, number>();
  readonly reader: Reader & Upstream;
  readonly hosts: HostBook;
  /** The clock, for what else waits. */
  readonly patience: PersistDeps;

  constructor(options: RigOptions = {}) {
    const files = options.files ?? {};
    this.patience = {
      now: () => this.now,
      random: () => 0.5,
      sleep: async (ms, signal) => {
        signal.throwIfAborted();
        options.onWait?.();
        this.waits.push(ms);
        this.now += ms;
      },
      observe: {
        bytes: ({ kind }, bytes) => this.bytesBy.set(kind, (this.bytesBy.get(kind) ?? 0) + bytes),
        retry: (retry) => this.retries.push(retry),
        deadMirror: (host) => this.dead.push(host),
      },
    };
    this.hosts = new HostBook({
      registries: options.registries ?? [],
      ...(options.files === undefined ? {} : { directory: "/certs.d" }),
      readText: async (file) => files[file],
      now: () => this.now,
    });
    this.reader = openReader({
      ...this.patience,
      hosts: this.hosts,
      limits: new Limits({ ...DEFAULT_LIMITS, ...options.limits }),
      ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reader[Symbol.asyncDispose]();
  }
}

export function accessTo(host: string, more: Partial<Access> = {}): Access {
  return { host, repository: "a/b", ...more };
}
