// Groups by name or number, as the plugin's own /etc/group has them.
import { readFileSync } from "node:fs";
import { Failure } from "../core/failure.ts";
import { errorCode, failureOf } from "./errno.ts";

/** −1 means "no group" to chown(2). */
const highestId = 2 ** 32 - 2;

/** The number of a group. Fails `not-found` for a name the file does not have, `invalid` for a number that is none. */
export function resolveGroup(group: string, file = "/etc/group"): number {
  if (/^\d+$/.test(group)) return requireId(group);
  const number = parseGroups(readGroups(file)).get(group);
  if (number !== undefined) return number;
  throw new Failure(
    "not-found",
    `Cannot find the group "${group}": "${file}", which in a container is the container's own, does not have it; give its number`,
  );
}

/** Names and numbers; lines that are not whole are left out, and the first of a name counts, as in the C library. */
export function parseGroups(text: string): ReadonlyMap<string, number> {
  const groups = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name = "", , number = ""] = line.split(":");
    const whole = name !== "" && /^\d{1,10}$/.test(number) && Number(number) <= highestId;
    if (whole && !groups.has(name)) groups.set(name, Number(number));
  }
  return groups;
}

function readGroups(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return ""; // An image without the file has no names.
    throw failureOf(error, `Cannot read the groups in "${file}"`);
  }
}

function requireId(group: string): number {
  const number = Number(group);
  if (number <= highestId) return number;
  throw new Failure("invalid", `Cannot use the group ${group}: the highest number is ${highestId}`);
}
