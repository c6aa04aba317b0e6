// Required fields and sizes, held against the words of proto/csi.proto itself.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { isFailure } from "../lib/core/failure.ts";
import { checkRequest } from "./request-check.ts";
import { servicesOver } from "./testing/door.ts";

const proto = readFileSync(fileURLToPath(new URL("../proto/csi.proto", import.meta.url)), "utf8");

/** The fields of a message, with the comment above each, nested messages left out. */
function fieldsOf(message: string): { name: string; type: string; comment: string }[] {
  const body = new RegExp(`^message ${message} \\{\\n([\\s\\S]*?)^\\}`, "m").exec(proto)?.[1] ?? "";
  const field = /((?:^ {2}\/\/.*\n)*)^ {2}((?:repeated )?[\w.]+|map<string, string>) (\w+) = \d+/gm;
  return [...body.matchAll(field)].map(([, comment = "", type = "", name = ""]) => ({ name, type, comment }));
}

const refusalOf = (request: object, required: readonly string[] = []) => {
  try {
    checkRequest(request, required);
  } catch (error) {
    return isFailure(error, "invalid") ? error.message : `a bug: ${String(error)}`;
  }
  return "granted";
};

describe("checkRequest()", () => {
  const methods = servicesOver({}).flatMap(({ methods }) => Object.entries(methods));

  it.each(methods)("asks for what csi.proto says is required of %s", (name, { required }) => {
    const wanted = fieldsOf(`${name}Request`)
      // A bool that is absent is false, and a map that is absent is empty.
      .filter(({ comment, type }) => /(?:is|a) REQUIRED/.test(comment) && !/^(?:bool|map<.*)$/.test(type))
      .map((field) => field.name);
    expect([...required].sort()).toEqual(wanted.sort());
  });

  it("finds required fields in csi.proto at all", () => {
    expect(fieldsOf("NodePublishVolumeRequest").length).toBe(8);
  });

  it.each(["", null, undefined, []])("refuses a required field that is %j, by name", (value) => {
    expect(refusalOf({ volume_id: value }, ["volume_id"])).toContain('lacks "volume_id"');
  });

  it("measures every map of csi.proto as a map", () => {
    const maps = [...proto.matchAll(/^\s*map<string, string> (\w+) = /gm)].map(([, name = ""]) => name);
    expect(maps.length).toBeGreaterThan(20);
    const unbounded = new Set(["secrets", "manifest"]);
    for (const name of maps.filter((name) => !unbounded.has(name))) {
      expect(refusalOf({ [name]: { a: "x".repeat(4096) } })).toContain(`"${name}" is 4097 bytes`);
    }
  });

  it.each([
    ["an id of 128 bytes", { volume_id: "x".repeat(128) }, "granted"],
    ["an id of 129 bytes", { volume_id: "é".repeat(64) + "x" }, '"volume_id" is 129 bytes'],
    ["an id with a NUL", { volume_id: "a\0b" }, "holds a NUL"],
    ["a name with white space and a flag", { name: "a\t\r\n 🏁 b" }, "granted"],
    ["a name with a BEL", { name: "a\x07b" }, '"name" holds a control character'],
    ["a name with a C1 control", { name: "a\x9fb" }, '"name" holds a control character'],
    ["a path with a BEL", { target_path: "/a\x07b" }, "granted"],
    ["a path with a NUL", { target_path: "/a\0b" }, "holds a NUL"],
    ["a path of 4000 bytes", { target_path: "/".repeat(4000) }, "granted"],
    ["a map of 4 KiB", { volume_context: { a: "x".repeat(4095) } }, "granted"],
    ["a key of 5 KiB", { volume_context: { ["x".repeat(5000)]: "" } }, '"volume_context" is 5000 bytes'],
    [
      "tokens of 9 KiB",
      { volume_context: { "csi.storage.k8s.io/serviceAccount.tokens": "x".repeat(9000) } },
      "granted",
    ],
    ["a pull secret of 9 KiB", { secrets: { ".dockerconfigjson": "x".repeat(9000) } }, "granted"],
    ["a map without a prototype", { volume_context: { constructor: "x", toString: "y" } }, "granted"],
    [
      "a nested string of 129 bytes",
      { c: { mount: { fs_type: "x".repeat(129) } } },
      '"fs_type" is 129 bytes',
    ],
    ["mount flags above 4 KiB", { mount_flags: ["x".repeat(4000), "x".repeat(97)] }, '"mount_flags" is 4097'],
    ["a nested list of messages", { list: [{ id: "x".repeat(129) }] }, '"id" is 129 bytes'],
  ])("judges %s", (_, request, verdict) => {
    expect(refusalOf(request)).toContain(verdict);
  });
});
