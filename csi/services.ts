// The services of one plugin, as many as it has journeys for.
import { type ControllerJourneys, controllerService } from "./controller.ts";
import { identityService } from "./identity.ts";
import { type InlineJourneys, type Journeys, nodeService } from "./node.ts";
import type { Service } from "./service.ts";

export type Served =
  | { readonly claims: false; readonly journeys: InlineJourneys }
  | { readonly claims: true; readonly journeys: Journeys & ControllerJourneys };

export type Plate = { readonly driver: string; readonly node: string; readonly version: string };

export function servicesOf({ driver, node, version }: Plate, served: Served): Service[] {
  return [
    identityService({ driver, version, isReady: () => true, claims: served.claims }),
    nodeService({ driver, node, served }),
    ...(served.claims ? [controllerService({ driver, node, journeys: served.journeys })] : []),
  ];
}
