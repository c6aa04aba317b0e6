// What attributes of volumes spell: they are texts, all of them.
import { Failure } from "../core/failure.ts";

/** Throws `invalid`, as all of these do. */
export function parseSwitch(text: string): boolean {
  if (/^(?:true|t|1)$/i.test(text)) return true;
  if (/^(?:false|f|0)$/i.test(text)) return false;
  throw new Failure("invalid", `Cannot read "${text}" as a switch: write true or false`);
}

export function parseMediaTypes(text: string): readonly string[] {
  const types = text.split(",").map((type) => type.trim());
  const odd = types.find((type) => !/^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+$/.test(type));
  if (odd === undefined) return types;
  throw new Failure(
    "invalid",
    `Cannot read the media type "${odd}": write type/subtype, several with commas between`,
  );
}

/** A parser of whole numbers within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new Failure("invalid", `Cannot use the number "${text}": write ${least} to ${most}`);
  };
}

/** Permissions in octal, setuid, setgid and sticky bits among them. */
export function parseMode(text: string): number {
  if (/^(?:0o?)?[0-7]{3,4}$/.test(text)) return Number.parseInt(text.replace(/^0o/, ""), 8);
  throw new Failure("invalid", `Cannot read the mode "${text}": write it in octal, such as 0775 or 2775`);
}
