// Tells ORAS how a registry is reached: what the reader finds out for itself from the node's settings.
import type { Access } from "../core/access.ts";
import type { HostBook } from "./hosts.ts";
import type { OrasDeps } from "./oras-command.ts";

/** Over plain HTTP or TLS, checked or not, by which authorities: as the reader reaches the registry itself. */
export function openOrasReach(hosts: HostBook): Required<Pick<OrasDeps, "accessOf" | "authoritiesOf">> {
  return {
    async accessOf(access) {
      const { upstream } = await hosts.hostsFor(access);
      const insecure = upstream.trust.skipVerify === true;
      const plainHttp = upstream.origin.startsWith("http:");
      return { ...access, plainHttp, ...(insecure ? { insecure } : {}) } satisfies Access;
    },
    async authoritiesOf(host) {
      const { upstream } = await hosts.hostsFor({ host, repository: "" });
      return upstream.trust.ca?.join("\n");
    },
  };
}
