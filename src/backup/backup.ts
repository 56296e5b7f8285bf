import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { toIso } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { REGISTRY } from "../control.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { makePath } from "../make-path.ts";
import { createRedactor } from "../redact.ts";
import { copyDb, putFact } from "../store/db.ts";
import { LAST_BACKUP } from "../store/last-backup.ts";
import { prepareDataDir } from "../store/lock.ts";
import { type BackupManifest, factsOf, KEYS, MANIFEST, PARTS } from "./manifest.ts";
import { tar } from "./tar.ts";

export interface BackupOptions {
  readonly config: Config;
  /** Nothing lies there. */
  readonly file: string;
  /** Neither the cells' directories nor the mirrors. */
  readonly withoutCells: boolean;
  /** How many backups of such a name are kept; null: all. */
  readonly keep: number | null;
  readonly version: string;
  /** Epoch ms. */
  readonly now: number;
}

export interface BackupResult {
  readonly file: string;
  readonly bytes: number;
  readonly cells: number;
  readonly removed: readonly string[];
}

/** A cell's directory. */
const CELL = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Writes a backup, whole or not at all, while a server goes on: the registry as of one moment, the keys of
 * heartbeats and runners, the configuration without its secrets, mirrors, and the cells' directories.
 * @throws LazarusError `usage`, `disk-full`, `directory`, `registry-unusable`.
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  const { config, file, withoutCells, now, version } = options;
  if (existsSync(file)) throw new LazarusError("usage", `${file} is there already: name another file`);
  const registry = join(config.dataDir, REGISTRY);
  if (!existsSync(registry))
    throw new LazarusError(
      "usage",
      `there is nothing to back up: ${registry} is not there (data in lazarus.yaml)`,
    );
  prepareDataDir(config.dataDir);
  const staging = makeStaging(file);
  try {
    const schema = copyDb(registry, join(staging, "lazarus.db"));
    for (const key of KEYS)
      if (existsSync(join(config.dataDir, key))) copyFileSync(join(config.dataDir, key), join(staging, key));
    if (config.file !== null) writeFileSync(join(staging, "lazarus.yaml"), shown(config), { mode: 0o600 });
    const cells = withoutCells ? [] : await packTrees(config, staging);
    const files: BackupManifest["files"] = {};
    for (const part of PARTS)
      if (existsSync(join(staging, part))) files[part] = await factsOf(join(staging, part));
    const manifest: BackupManifest = { format: 1, version, schema, at: toIso(now), cells, files };
    writeFileSync(join(staging, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
    const fresh = join(staging, "whole.tar.gz");
    await tar(["-czf", fresh, "-C", staging, MANIFEST, ...Object.keys(files)], `writing ${file}`);
    renameSync(fresh, file);
    putFact(registry, LAST_BACKUP, String(now));
    const { bytes } = await factsOf(file);
    return { file, bytes, cells: cells.length, removed: prune(options) };
  } catch (error) {
    if (systemCode(error) === "ENOSPC")
      throw new LazarusError("disk-full", `writing ${file}: the disk is full; nothing was left there`, {
        cause: error,
      });
    throw error;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Beside the backup: there must be room for it anyway. */
function makeStaging(file: string): string {
  const dir = dirname(resolve(file));
  try {
    makePath(dir, 0o700);
    return mkdtempSync(join(dir, ".lazarus-backup-"));
  } catch (error) {
    throw new LazarusError("directory", `writing to ${dir}: ${explain(error)}`, { cause: error });
  }
}

/** The configuration as it was, every secret hidden. */
function shown(config: Config): string {
  return createRedactor(config.secrets).redact(readFileSync(config.file ?? "", "utf8"));
}

async function packTrees({ dataDir, missionsDir }: Config, staging: string): Promise<string[]> {
  const how = ["--numeric-owner", "--sparse", "--ignore-failed-read", "--warning=no-file-changed"];
  const mirrors = join(dataDir, "mirrors");
  if (existsSync(mirrors))
    await tar(
      [...how, "-cf", join(staging, "mirrors.tar"), "-C", dataDir, "mirrors"],
      "backing up the mirrors",
      true,
    );
  const cells = existsSync(missionsDir) ? readdirSync(missionsDir).filter((name) => CELL.test(name)) : [];
  if (cells.length === 0) return [];
  const list = join(staging, "cells.txt");
  writeFileSync(list, `${cells.join("\n")}\n`);
  const words = [...how, "-cf", join(staging, "cells.tar"), "-C", missionsDir, "-T", list];
  await tar(words, "backing up the cells", true);
  rmSync(list);
  return cells;
}

/** Removes older files whose names differ in digits only. */
function prune({ file, keep }: BackupOptions): string[] {
  if (keep === null) return [];
  const escaped = basename(file).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const like = new RegExp(`^${escaped.replace(/\d+/g, "\\d+")}$`);
  const dir = dirname(resolve(file));
  const all = readdirSync(dir)
    .filter((name) => like.test(name))
    .sort()
    .reverse();
  const old = all.filter((name) => name !== basename(file)).slice(Math.max(0, keep - 1));
  for (const name of old) rmSync(join(dir, name));
  return old;
}

/** Bytes that are left at a place. */
export function roomAt(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
