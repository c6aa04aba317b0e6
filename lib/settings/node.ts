// What an administrator says: the node plugin's file and environment, checked at once.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { nodeFile } from "./node-file.ts";
import { describeProblems } from "./problems.ts";
import { absolutePath } from "./registries.ts";
import { parseYaml } from "./yaml.ts";

/** What differs from node to node. */
export const nodeEnvironment = z.object({
  CSI_ENDPOINT: z.string().min(1).default("unix:///csi/csi.sock").meta({ description: "The socket." }),
  LARDER_CONFIG: z
    .string()
    .optional()
    .meta({ description: "The file of the settings below; none: all of them as they are." }),
  LARDER_NODE: z
    .string()
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/, "write the node's name")
    .meta({ description: "The node's name, as Kubernetes has it." }),
  LARDER_ROOT: absolutePath.default("/var/lib/larder").meta({ description: "Where everything is kept." }),
  LARDER_LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .meta({ description: "How much is logged." }),
});

export type NodeSettings = z.output<typeof nodeFile> & {
  readonly endpoint: string;
  readonly node: string;
  readonly root: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
};

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings that the file's text and the environment spell. Throws `invalid` with every problem of both. */
export function parseNode(text: string, environment: Environment): NodeSettings {
  const problems: string[] = [];
  const file = check(nodeFile, parseYaml(text, problems), problems);
  const own = Object.fromEntries(Object.keys(nodeEnvironment.shape).map((name) => [name, environment[name]]));
  const given = check(nodeEnvironment, own, problems);
  if (file === undefined || given === undefined || problems.length > 0) {
    throw new Failure("invalid", `Cannot use the node's settings: ${problems.join("; ")}`);
  }
  return {
    ...file,
    endpoint: given.CSI_ENDPOINT,
    node: given.LARDER_NODE,
    root: given.LARDER_ROOT.replace(/(?<=.)\/+$/, ""),
    logLevel: given.LARDER_LOG_LEVEL,
  };
}

function check<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  problems: string[],
): z.output<Schema> | undefined {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  problems.push(...describeProblems(result.error, schema, input));
  return undefined;
}
