// Claims as a provisioner and the kubelet ask for them: the calls for one, by its name.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { tool } from "../testing/tool.ts";
import type { CallOptions, CsiError, Reply } from "./client.ts";
import { openPlugin, type Plugin, type PluginOptions } from "./plugin.ts";

export type ClaimRequest = {
  readonly name: string;
  /** What its class says. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly bytes?: number;
  /** `SINGLE_NODE_WRITER`, unless it is said. */
  readonly mode?: string;
  /** The fsGroup of its pods. */
  readonly group?: string;
  /** See `Insistence`. */
  readonly alsoAfter?: string;
};

type Publishing = {
  readonly pod: string;
  readonly readOnly?: boolean;
  readonly options?: CallOptions;
};

const MIB = 2 ** 20;

/** What has a plugin, though not always the same one. */
type Node = { readonly plugin: Plugin };

/** A plugin that can write back. */
export async function openClaimPlugin(options: PluginOptions = {}): Promise<Plugin> {
  return await openPlugin({ ...options, settings: { oras: await tool("oras"), ...options.settings } });
}

/** The same name is the same claim, whichever life of the plugin is asked. */
export class ClaimCalls {
  readonly #node: Node;
  readonly #request: ClaimRequest;
  id = "";
  /** The fsGroup of the pods that it is staged and published for. */
  group: string;
  context: Readonly<Record<string, string>> = {};
  /** What was told beside the OK of its deletion. */
  readonly notes: string[] = [];

  constructor(node: Node, request: ClaimRequest) {
    this.#node = node;
    this.#request = request;
    this.group = request.group ?? "";
  }

  async create(options?: CallOptions): Promise<Reply> {
    const { name, parameters = {}, secrets = {}, bytes = 64 * MIB } = this.#request;
    const request = {
      name,
      capacity_range: { required_bytes: bytes },
      volume_capabilities: [this.#capability],
      parameters,
      secrets,
    };
    const reply = await this.#call("Controller", "CreateVolume", request, options);
    const volume = reply["volume"] as { volume_id: string; volume_context: Record<string, string> };
    this.id = volume.volume_id;
    this.context = volume.volume_context;
    return reply;
  }

  async stage(options?: CallOptions): Promise<void> {
    await mkdir(this.staging, { recursive: true });
    const request = {
      ...this.#named,
      staging_target_path: this.staging,
      volume_capability: this.#capability,
      volume_context: this.context,
      secrets: this.#request.secrets ?? {},
    };
    await this.#call("Node", "NodeStageVolume", request, options);
  }

  /** Returns where the pod finds it. */
  async publish({ pod, readOnly = false, options }: Publishing): Promise<string> {
    const target = await this.target(pod);
    const request = {
      ...this.#named,
      target_path: target,
      staging_target_path: this.staging,
      volume_capability: this.#capability,
      volume_context: this.context,
      readonly: readOnly,
    };
    await this.#call("Node", "NodePublishVolume", request, options);
    return target;
  }

  async unpublish(pod: string, options?: CallOptions): Promise<void> {
    const request = { ...this.#named, target_path: await this.target(pod) };
    await this.#call("Node", "NodeUnpublishVolume", request, options);
  }

  async unstage(options?: CallOptions): Promise<void> {
    const request = { ...this.#named, staging_target_path: this.staging };
    await this.#call("Node", "NodeUnstageVolume", request, options);
  }

  async expand(bytes: number): Promise<Reply> {
    const request = {
      ...this.#named,
      volume_path: this.staging,
      staging_target_path: this.staging,
      capacity_range: { required_bytes: bytes },
      volume_capability: this.#capability,
    };
    return await this.#call("Node", "NodeExpandVolume", request);
  }

  async modify(mutable: Readonly<Record<string, string>>): Promise<void> {
    const request = { ...this.#named, mutable_parameters: mutable };
    await this.#call("Controller", "ControllerModifyVolume", request);
  }

  async delete(options?: CallOptions): Promise<void> {
    const request = { ...this.#named, secrets: this.#request.secrets ?? {} };
    const onNote = (words: string) => void this.notes.push(words);
    await this.#call("Controller", "DeleteVolume", request, { ...options, onNote });
  }

  /** As a provisioner does: again and again until it is done; tells each progress. */
  async deleteAtLast(tell?: (words: string) => void): Promise<void> {
    const { alsoAfter } = this.#request;
    await insisting((options) => this.delete(options), { alsoAfter, tell });
  }

  /** Created, staged and published for one pod, which `work` is; then taken down again, but for the claim itself. */
  async runPod(work: (at: string) => Promise<void>): Promise<void> {
    await work(await this.mountAtLast("user"));
    await this.unmountAtLast("user");
  }

  /** Created, staged and published, as callers do who ask again; returns where the pod finds it. */
  async mountAtLast(pod: string): Promise<string> {
    const { alsoAfter } = this.#request;
    await insisting((options) => this.create(options), { alsoAfter });
    await insisting((options) => this.stage(options), { alsoAfter });
    return await insisting((options) => this.publish({ pod, options }), { alsoAfter });
  }

  async unmountAtLast(pod: string): Promise<void> {
    await insisting((options) => this.unpublish(pod, options));
    await insisting((options) => this.unstage(options));
  }

  /** As the kubelet names it. */
  get staging(): string {
    return path.join(this.#node.plugin.folder, "plugins", "csi", this.#request.name, "globalmount");
  }

  async target(pod: string): Promise<string> {
    return (await this.#node.plugin.target(`${this.#request.name}-${pod}`)).target;
  }

  get #named() {
    return { volume_id: this.id };
  }

  get #capability() {
    return {
      mount: { volume_mount_group: this.group },
      access_mode: { mode: this.#request.mode ?? "SINGLE_NODE_WRITER" },
    };
  }

  async #call(service: string, method: string, request: object, options?: CallOptions): Promise<Reply> {
    return await this.#node.plugin.client.call(service, method, request, options);
  }
}

/** For how long `alsoAfter` is asked again. */
const PATIENCE_MS = 600_000;

export type Insistence = {
  /** Hears each progress. */
  readonly tell?: ((words: string) => void) | undefined;
  /** What else is asked again after, for some time: `UNAVAILABLE`, where a registry may be too slow. */
  readonly alsoAfter?: string | undefined;
};

/** As callers of CSI do: ABORTED is progress, and is asked again; so is what a slow machine did not answer in time. */
export async function insisting<T>(
  call: (options: CallOptions) => Promise<T>,
  { tell = () => undefined, alsoAfter }: Insistence = {},
): Promise<T> {
  for (const last = performance.now() + PATIENCE_MS; ; await pause(200)) {
    try {
      return await call({ deadlineMs: 30_000 });
    } catch (error) {
      const { code, message } = error as CsiError;
      const isUnderWay = code === "ABORTED" || code === "DEADLINE_EXCEEDED";
      if (!isUnderWay && (code !== alsoAfter || performance.now() > last)) throw error;
      tell(message);
    }
  }
}
