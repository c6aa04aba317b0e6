// Holds the pages that people copy from to the schemas: what they say of the settings is what is checked.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { parseClaim } from "../lib/settings/claim.ts";
import { parseNode } from "../lib/settings/node.ts";
import { formatSettings } from "../lib/settings/table.ts";
import { parseVolume } from "../lib/settings/volume.ts";

const read = (name: string) => readFileSync(path.resolve(import.meta.dirname, "..", name), "utf8");
const readme = read("README.md");

type Example = Readonly<Record<string, unknown>>;

/** Every document of every YAML block. Where people put a digest of their own there is one. */
const examples: readonly Example[] = [readme, read("docs/caches.md")]
  .flatMap((page) => page.match(/(?<=```yaml\n)[^]*?(?=```)/g) ?? [])
  .flatMap((block) => parseAllDocuments(block.replaceAll("sha256:…", `sha256:${"0".repeat(64)}`)))
  .map((document) => document.toJS() as Example);

/** All that stands under a name, however deep. */
function under(name: string, within: unknown = examples): ReadonlyArray<ReadonlyMap<string, string>> {
  if (typeof within !== "object" || within === null) return [];
  return Object.entries(within).flatMap(([key, value]) =>
    key === name ? [new Map(Object.entries(value as Record<string, string>))] : under(name, value),
  );
}

const node = { registries: [], inline: { maxSizeBytes: 2 ** 40 } };

describe("the README", () => {
  it.each(["volume", "claim", "environment", "file"] as const)(
    "shows the settings of the %s as they are",
    (where) => {
      expect(readme).toContain(formatSettings(where));
    },
  );
});

describe("the examples that people copy", () => {
  it("of classes make claims that start from a cache, and are written back by a provisioner that tells nothing", () => {
    const classes = under("parameters");
    expect(classes).toHaveLength(2);
    for (const parameters of classes) {
      const said = new Map([...parameters, ["csi.storage.k8s.io/pvc/namespace", "ci"]]);
      const { settings, terms } = parseClaim(said, new Map(), node);
      expect(settings.cache?.repository).toMatch(/caches\/ci\/\w+$/);
      expect(terms).toMatchObject({ policy: "pull-push", when: "always" });
    }
  });

  it("of volumes name an artifact", () => {
    const volumes = under("volumeAttributes");
    expect(volumes).toHaveLength(2);
    for (const attributes of volumes) expect(parseVolume(attributes, node).reference.host).toBe("ghcr.io");
  });

  it("of a node's settings are taken", () => {
    const files = examples.filter((example) => "registries" in example);
    expect(files).toHaveLength(1);
    for (const file of files) {
      const { registries } = parseNode(JSON.stringify(file), { LARDER_NODE: "node-1" });
      expect(registries[0]?.match).toBe("registry.example");
    }
  });
});
