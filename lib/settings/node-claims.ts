// What an administrator says about claims and their limits: a part of the node plugin's file.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { parseAmount, parseBytes } from "../core/quantity.ts";
import { parsed } from "./problems.ts";

function parseLayerSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes >= 2 ** 20) return bytes;
  throw new Failure("invalid", `Cannot split layers at "${text}": write 1Mi or more`);
}

/** Ids below are the kubelet's (from 1048577) and other programs' that count from small numbers. */
const FIRST_PROJECT = 0x20000000;
const LAST_PROJECT = 0xfffffffe;

const projects = z
  .strictObject({
    base: z.int().min(1).max(LAST_PROJECT).default(FIRST_PROJECT).meta({
      description:
        "The first XFS project id that is Larder's to give; each plugin on one file system needs a range of its own.",
    }),
    count: z.int().min(1).max(LAST_PROJECT).default(65_536).meta({ description: "How many of them are." }),
  })
  .superRefine(({ base, count }, context) => {
    if (base + count - 1 <= LAST_PROJECT) return;
    context.addIssue({
      code: "custom",
      path: ["count"],
      message: `the ids would end beyond ${LAST_PROJECT}`,
    });
  });

export const nodeClaims = z.strictObject({
  quota: z.enum(["auto", "required", "off"]).default("auto").meta({
    description: "Hard sizes: where they can be had, or no start without them (`required`), or none.",
  }),
  pool: z
    .strictObject({
      size: parsed(parseAmount).prefault("25%").meta({
        description:
          "How large an XFS image is made where the root has no project quotas, in bytes or percent of the file system.",
      }),
      floor: parsed(parseAmount).prefault("15%").meta({
        description: "What the image leaves free: more than where the kubelet starts to evict.",
      }),
    })
    .prefault({}),
  projects: projects.prefault({}),
  inline: z
    .strictObject({
      maxSize: parsed(parseBytes).prefault("10Gi").meta({
        description: "The most that a writable inline volume may ask for.",
      }),
    })
    .transform(({ maxSize }) => ({ maxSizeBytes: maxSize }))
    .prefault({}),
  claims: z
    .strictObject({
      overcommit: z.number().min(1).max(100).default(1).meta({
        description: "How many times over the room is given to claims; 1 keeps every promise.",
      }),
      pending: parsed(parseAmount).prefault("20%").meta({
        description:
          "What write-backs that wait may hold; beyond it new claims are not written back. Bytes or percent of the file system.",
      }),
    })
    .prefault({}),
  layer: z
    .strictObject({
      max: parsed(parseLayerSize).prefault("5Gi").meta({
        description: "Where a layer that is written back is split.",
      }),
    })
    .transform(({ max }) => ({ maxBytes: max }))
    .prefault({}),
  chain: z
    .strictObject({
      max: z.int().min(1).max(100).default(8).meta({
        description: "How many layers a cache may have before they are made one.",
      }),
    })
    .prefault({}),
  oras: z.string().min(1).default("oras").meta({
    description: "The ORAS CLI (1.3), which writes caches back: a path, or a name on the PATH.",
  }),
});
