import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { LazarusError } from "../errors.ts";

export const MANIFEST = "manifest.json";
/** What is derived from them (heartbeat tokens, the keys of runners' messages) holds after a restore. */
export const KEYS = ["heartbeat.key", "runners.key"] as const;
/** The parts of a backup; nothing else is taken out of one. */
export const PARTS = ["lazarus.db", ...KEYS, "lazarus.yaml", "mirrors.tar", "cells.tar"] as const;

const schema = z.object({
  format: z.literal(1),
  /** Of the program that made it. */
  version: z.string(),
  /** Of the registry. */
  schema: z.number().int(),
  /** RFC 3339. */
  at: z.string(),
  cells: z.array(z.uuid()),
  files: z.partialRecord(z.enum(PARTS), z.object({ bytes: z.number().int(), sha256: z.string() })),
});
export type BackupManifest = z.output<typeof schema>;

/** @throws LazarusError `usage` with what is wrong. */
export function readManifest(dir: string, file: string): BackupManifest {
  try {
    return schema.parse(JSON.parse(readFileSync(join(dir, MANIFEST), "utf8")));
  } catch {
    throw new LazarusError(
      "usage",
      `${file} is no backup of Lazarus, or it is damaged: it has no manifest that can be read`,
    );
  }
}

export async function factsOf(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { bytes: statSync(path).size, sha256: hash.digest("hex") };
}
