// Reads fields out of JSON that a stranger wrote, and refuses in words what does not fit.
import { type Digest, parseDigest } from "./digest.ts";
import { isFailure, type Reason } from "./failure.ts";

/** Makes the error to throw for what is wrong. */
export type Refuse = (why: string, reason?: Reason) => Error;

/** The JSON object that `bytes` hold. Throws what `refuse` makes, with `corrupt` where it is no JSON at all. */
export function parseFields(bytes: Uint8Array | string, refuse: Refuse): Fields {
  return new Fields(parseJson(bytes, refuse), "", refuse);
}

function parseJson(bytes: Uint8Array | string, refuse: Refuse): unknown {
  try {
    return JSON.parse(
      typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    );
  } catch {
    throw refuse("it is not JSON", "corrupt");
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One JSON object. A field that is `null` counts as absent, as Go's encoder leaves it for what is empty. */
export class Fields {
  readonly #values: Record<string, unknown>;
  readonly #path: string;
  readonly #refuse: Refuse;

  constructor(value: unknown, path: string, refuse: Refuse) {
    if (!isObject(value)) throw refuse(`${path === "" ? "it" : path} is not an object`);
    this.#values = value;
    this.#path = path;
    this.#refuse = refuse;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  /** The error for a field of this object. */
  refuse(name: string, why: string, reason?: Reason): Error {
    return this.#refuse(`${this.#pathOf(name)} ${why}`, reason);
  }

  optionalText(name: string): string | undefined {
    const value = this.#value(name);
    if (value !== undefined && typeof value !== "string") throw this.refuse(name, "is not a text");
    return value;
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#missing(name);
  }

  /** One of the texts that are known. */
  choice<Known extends string>(name: string, known: readonly Known[]): Known {
    const text = this.text(name);
    const found = known.find((one) => one === text);
    if (found === undefined) throw this.refuse(name, `is "${cut(text)}", not one of ${known.join(", ")}`);
    return found;
  }

  boolean(name: string): boolean {
    const value = this.#value(name) ?? this.#missing(name);
    if (typeof value !== "boolean") throw this.refuse(name, "is not true or false");
    return value;
  }

  /** A whole number from 0 up that a double holds exactly. */
  optionalCount(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.refuse(name, `is ${cut(JSON.stringify(value))}, not a whole number from 0 to 2^53`);
  }

  count(name: string): number {
    return this.optionalCount(name) ?? this.#missing(name);
  }

  digest(name: string): Digest {
    try {
      return parseDigest(this.text(name));
    } catch (error) {
      if (!isFailure(error)) throw error;
      throw this.refuse(name, `is refused: ${error.message}`, error.reason);
    }
  }

  optionalObject(name: string): Fields | undefined {
    const value = this.#value(name);
    return value === undefined ? undefined : new Fields(value, this.#pathOf(name), this.#refuse);
  }

  object(name: string): Fields {
    return this.optionalObject(name) ?? this.#missing(name);
  }

  /** The objects of a list; none where the field is absent. */
  objects(name: string): readonly Fields[] {
    return this.#list(name).map(
      (value, index) => new Fields(value, `${this.#pathOf(name)}[${index}]`, this.#refuse),
    );
  }

  texts(name: string): readonly string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== "string") throw this.refuse(name, "holds something that is not a text");
      return value;
    });
  }

  /** A map of texts, whatever its keys are called. */
  textMap(name: string): ReadonlyMap<string, string> {
    const value = this.#value(name) ?? {};
    if (!isObject(value)) throw this.refuse(name, "is not an object");
    return new Map(
      Object.entries(value).map(([key, text]) => {
        if (typeof text !== "string")
          throw this.refuse(name, `has a value at "${cut(key)}" that is not a text`);
        return [key, text] as const;
      }),
    );
  }

  #list(name: string): readonly unknown[] {
    const value = this.#value(name) ?? [];
    if (!Array.isArray(value)) throw this.refuse(name, "is not a list");
    return value;
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? (this.#values[name] ?? undefined) : undefined;
  }

  #missing(name: string): never {
    throw this.refuse(name, "is missing");
  }

  #pathOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

const cut = (text: string | undefined): string => (text ?? "").slice(0, 80);
