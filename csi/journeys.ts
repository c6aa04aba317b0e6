// The journeys that the door calls, put together with what they lean on.
import { hasSelinux } from "../lib/host/selinux.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import type { Trees } from "../lib/trees/trees.ts";
import { type PublishDeps, publish } from "../lib/volumes/publish.ts";
import type { Records } from "../lib/volumes/records.ts";
import { stats } from "../lib/volumes/stats.ts";
import { openTurns } from "../lib/volumes/turns.ts";
import { unpublish } from "../lib/volumes/unpublish.ts";
import type { InlineJourneys } from "./node.ts";
import type { Ports } from "./plugin.ts";

type Inside = { readonly ports: Ports; readonly records: Records; readonly trees: Trees };

export function openJourneys(settings: NodeSettings, { ports, records, trees }: Inside): InlineJourneys {
  const { files, mounts, keyring, clock, log, platform } = ports;
  const deps: PublishDeps = {
    files,
    mounts,
    keyring,
    clock,
    log,
    platform,
    records,
    trees,
    root: settings.root,
    turns: openTurns(),
    registries: settings.registries,
    view: { ...settings.mount, ...(hasSelinux() ? { context: settings.selinux.context } : {}) },
  };
  return {
    publish: (request, call) => publish(deps, request, call),
    unpublish: (request) => unpublish(deps, request),
    stats: (request) => stats({ records, trees }, request),
  };
}
