// What an administrator says about registries: how each is reached, through which mirrors, and with what credentials.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { fitsHost, HOST_PATTERN } from "../core/host-pattern.ts";
import { isSendable } from "../core/http-header.ts";
import { parsed } from "./problems.ts";

export const absolutePath = z.string().regex(/^\/[^\0]*$/, "write an absolute path");

/** One file or several. */
const files = z.union([absolutePath.transform((file) => [file]), z.array(absolutePath).min(1)]);

function parseMirrorUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.search === "" && url.hash === "";
  if (!plain || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new Failure(
      "invalid",
      "Cannot use this URL of a mirror: write https://host or http://host with an optional path, without credentials",
    );
  }
  return url.href.replace(/\/$/, "");
}

const mirror = z.strictObject({
  url: parsed(parseMirrorUrl).meta({
    description: "Where the mirror is: `https://host`, with a path where it needs one.",
  }),
  capabilities: z
    .array(z.enum(["pull", "resolve"]))
    .min(1)
    .default(["pull", "resolve"])
    .meta({
      description:
        "What it is asked for: blobs and manifests (`pull`), what tags mean (`resolve`), but for the heads of caches.",
    }),
  ca: files.exactOptional().meta({ description: "A file of authorities (PEM) for it, or several." }),
  skipVerify: z.boolean().default(false).meta({ description: "Take any certificate." }),
  headers: z
    .record(z.string(), z.string())
    .refine((headers) => Object.entries(headers).every(([name, text]) => isSendable(name, text)), {
      message: "write names and values as HTTP takes them, and none that says how a request is sent",
    })
    .default({})
    .meta({ description: "Sent with every request to it." }),
  overridePath: z.boolean().default(false).meta({ description: "The URL's path stands in place of `/v2`." }),
});

const credentials = z
  .strictObject({
    username: z.string().min(1).meta({ description: "The user." }),
    password: z.string().exactOptional().meta({ description: "The password; better in a file." }),
    passwordFile: absolutePath.exactOptional().meta({ description: "The file that holds the password." }),
  })
  .refine((value) => (value.password === undefined) !== (value.passwordFile === undefined), {
    message: 'give either "password" or "passwordFile"',
  });

export const registry = z.strictObject({
  match: z
    .string()
    .regex(HOST_PATTERN, "write a host such as ghcr.io, *.example.com or * for every host")
    .meta({
      description:
        "Which registries this is about: a host, `*.example.com`, or `*`. The first entry that fits counts.",
    }),
  plainHttp: z
    .boolean()
    .exactOptional()
    .meta({ description: "Spoken to over HTTP without TLS; where it is not set, loopback hosts only." }),
  insecure: z.boolean().default(false).meta({ description: "Any certificate is taken." }),
  allowPlainHttp: z.boolean().default(false).meta({ description: "Volumes may ask for `plain-http`." }),
  allowInsecure: z.boolean().default(false).meta({ description: "Volumes may ask for `insecure`." }),
  ca: files
    .exactOptional()
    .meta({ description: "A file of authorities (PEM) beside the system's, or several." }),
  mirrors: z
    .array(mirror)
    .default([])
    .meta({ description: "Asked first, in order; the registry itself is asked last." }),
  credentials: credentials.exactOptional().meta({ description: "The node's own, for pods that bring none." }),
});

export type MirrorSettings = z.output<typeof mirror>;
export type RegistrySettings = z.output<typeof registry>;

/** What the settings say about `host`: the first entry that fits. */
export function registryFor(
  registries: readonly RegistrySettings[],
  host: string,
): RegistrySettings | undefined {
  return registries.find(({ match }) => fitsHost(match, host));
}
