// What one family of tools is to the measurement of its cache: a project, its updates, and how it is built.
import { execa } from "execa";

export interface Ecosystem {
  readonly id: string;
  /** The tool, and which of its folders is the cache. */
  readonly name: string;
  /** Must be on the PATH. */
  readonly program: string;
  /** What of its claims is not as of all of them. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Of the project, what builds make: gone before each of them. */
  readonly outputs: readonly string[];
  /** Writes the project, or with `updated` its later state, with the versions of all it needs fixed. May use `scratch`, never the cache. */
  write(project: string, scratch: string, updated: boolean): Promise<void>;
  /** Builds the project with what the cache has, and leaves in the cache what it lacked. The tool's own checks are on. */
  build(project: string, cache: string): Promise<void>;
  /** Leaves the cache as it is some hours after a build, where that makes a difference to the tool. */
  age?(cache: string): Promise<void>;
  /** Has the tool look at all of the cache, where it has a command for that. */
  verify?(project: string, cache: string): Promise<void>;
}

export async function run(
  cwd: string,
  command: readonly [program: string, ...args: string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [program, ...args] = command;
  return (await execa(program, args, { cwd, env, stdin: "ignore" })).stdout;
}
