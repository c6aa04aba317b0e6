// What the journeys of claims lean on.
import type { Platform } from "../core/platform.ts";
import type { Log } from "../host/log.ts";
import type { Keyring } from "../registry/keyring.ts";
import type { RegistrySettings } from "../settings/registries.ts";
import type { Trees } from "../trees/trees.ts";
import type { ClaimDiskDeps } from "./claim-disk.ts";
import type { ClaimRecords } from "./claim-records.ts";
import type { Occupants } from "./occupants.ts";
import type { Clock } from "./patience.ts";
import type { Promises } from "./promises.ts";
import type { TargetDeps } from "./target.ts";
import type { VolumeTurns } from "./volume-turns.ts";

export type ClaimDeps = TargetDeps &
  ClaimDiskDeps & {
    readonly turns: VolumeTurns;
    readonly claims: ClaimRecords;
    readonly occupants: Occupants;
    readonly trees: Pick<
      Trees,
      | "lease"
      | "begin"
      | "fetchTag"
      | "contents"
      | "collectableBytes"
      | "collect"
      | "figures"
      | "hold"
      | "letGo"
    >;
    readonly keyring: Keyring;
    readonly clock: Clock;
    readonly log: Log;
    readonly platform: Platform;
    readonly registries: readonly RegistrySettings[];
    readonly node: string;
    readonly flags: { readonly noSuid: boolean; readonly noDev: boolean };
    /** The SELinux label of overlays; none where SELinux is off. */
    readonly context?: string;
    /** Twelve characters at most, of small letters and digits, never the same twice. */
    readonly drawId: () => string;
    readonly promises: Promises;
  };
