// The schema of the file that an administrator writes for the node plugin.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { parseAmount, parseBytes, parseDuration } from "../core/quantity.ts";
import { nodeClaims } from "./node-claims.ts";
import { parsed } from "./problems.ts";
import { absolutePath, registry } from "./registries.ts";

export type ListenAddress = { readonly host: string; readonly port: number };

function parseAddress(text: string): ListenAddress | undefined {
  if (text === "") return undefined;
  const match = /^(?<host>[^:]*|\[[0-9a-fA-F:]+\]):(?<port>[0-9]{1,5})$/.exec(text);
  const port = Number(match?.groups?.["port"] ?? -1);
  if (match === null || port > 65_535) {
    throw new Failure("invalid", `Cannot listen on "${text}": write host:port or :port, or "" for nowhere`);
  }
  const host = match.groups?.["host"]?.replaceAll(/[[\]]/g, "") ?? "";
  return { host: host === "" ? "::" : host, port };
}

function parseRange(text: string): number {
  const bytes = parseBytes(text);
  if (bytes >= 2 ** 20 && bytes <= 2 ** 30) return bytes;
  throw new Failure("invalid", `Cannot ask for ranges of "${text}": write 1Mi to 1Gi`);
}

const count = (most: number) => z.int().min(1).max(most);

const store = z
  .strictObject({
    high: parsed(parseAmount).prefault("75%").meta({
      description:
        "How much the node's store may hold, in bytes or percent of what claims leave of the file system.",
    }),
    low: parsed(parseAmount).prefault("60%").meta({ description: "How far a collection goes." }),
  })
  .superRefine(({ high, low }, context) => {
    const sizeOf = (amount: typeof high) => (amount.kind === "bytes" ? amount.bytes : amount.percent);
    if (high.kind !== low.kind || sizeOf(low) <= sizeOf(high)) return;
    context.addIssue({ code: "custom", path: ["low"], message: "it is more than store.high" });
  });

const pull = z.strictObject({
  concurrency: count(256).default(8).meta({ description: "Blobs brought at once on the node." }),
  connections: count(64)
    .default(12)
    .meta({ description: "Connections for the artifacts of one repository." }),
  nodeConnections: count(1024).default(32).meta({ description: "Connections of the node in all." }),
  rangeBytes: parsed(parseRange).prefault("8Mi").meta({ description: "How much one request asks for." }),
  threads: count(64).exactOptional().meta({
    description: "Threads that unpack; one per processor, four at most, where it is not set.",
  }),
  keepSetuid: z.boolean().default(false).meta({
    description: "Archives keep setuid and setgid bits. What claims wrote always does, raw files never do.",
  }),
});

const proof = z
  .strictObject({
    ttl: parsed(parseDuration).prefault("1h").meta({
      description: "How long a right to an artifact that the registry confirmed holds without asking again.",
    }),
    staleTags: z.boolean().default(true).meta({
      description: "While the registry is down, `Always` serves what the tag last meant, with a warning.",
    }),
  })
  .transform(({ ttl, staleTags }) => ({ ttlMs: ttl, staleTags }));

const credentialProviders = z.strictObject({
  config: absolutePath.meta({ description: "The kubelet's CredentialProviderConfig." }),
  binDirectory: absolutePath.meta({ description: "Where its plugins are." }),
});

export const nodeFile = z.strictObject({
  driver: z
    .string()
    .regex(
      /^[A-Za-z][A-Za-z0-9._-]{0,61}[A-Za-z]$/,
      "write a DNS name of at most 63 characters that ends in a letter",
    )
    .default("csi.larder.dev")
    .meta({ description: "The driver's name; `csi.oras.land` takes over from csi-driver-oras." }),
  store: store.prefault({}),
  ...nodeClaims.shape,
  registries: z.array(registry).default([]),
  hostsDirectory: absolutePath
    .exactOptional()
    .meta({ description: "A directory of `hosts.toml` as containerd has it." }),
  credentialProviders: credentialProviders.exactOptional(),
  pull: pull.prefault({}),
  proof: proof.prefault({}),
  metrics: z
    .strictObject({
      address: parsed(parseAddress).prefault(":9810").meta({
        description: "Where `/healthz`, `/readyz` and `/metrics` are served; empty for nowhere.",
      }),
    })
    .prefault({}),
  registration: z
    .union([z.literal(""), absolutePath])
    .default("")
    .meta({
      description: "The kubelet's plugin registry directory; empty when a registrar sidecar registers.",
    }),
  socketGroup: z.int().min(0).max(4_294_967_294).exactOptional().meta({
    description: "The gid that may use the socket (0660); without it only its owner may (0600).",
  }),
  selinux: z
    .strictObject({
      context: z
        .string()
        .regex(/^[A-Za-z0-9_.:,-]*$/, "write an SELinux context")
        .default("system_u:object_r:container_file_t:s0")
        .meta({ description: "The label of mounts and store where SELinux is on." }),
    })
    .prefault({}),
  mount: z
    .strictObject({
      nosuid: z.boolean().default(true).meta({ description: "Setuid bits have no effect in volumes." }),
      nodev: z.boolean().default(true).meta({ description: "Device nodes have no effect in volumes." }),
    })
    .transform(({ nosuid, nodev }) => ({ noSuid: nosuid, noDev: nodev }))
    .prefault({}),
});
