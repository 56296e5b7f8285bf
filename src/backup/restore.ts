import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../config/config.ts";
import { REGISTRY } from "../control.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { makePath } from "../make-path.ts";
import { forgetPast, inspectDb } from "../store/db.ts";
import { takeLock } from "../store/lock.ts";
import { MIGRATIONS } from "../store/migrations.ts";
import { roomAt } from "./backup.ts";
import { type BackupManifest, factsOf, KEYS, MANIFEST, PARTS, readManifest } from "./manifest.ts";
import { tar } from "./tar.ts";

export interface RestoreOptions {
  readonly config: Pick<Config, "dataDir" | "missionsDir">;
  readonly file: string;
  /** Looks whether it is whole, and restores nothing. */
  readonly isCheck: boolean;
  /** Epoch ms. */
  readonly now: number;
}

export interface RestoreResult {
  readonly at: string;
  readonly version: string;
  readonly schema: number;
  readonly cells: number;
  readonly restored: boolean;
}

/**
 * Puts a backup where nothing is: every part is proven whole before anything is put in its place. What people
 * typed since the backup is not run, since nobody knows whether it was run before.
 * @throws LazarusError `usage`, `disk-full`, `directory`, `registry-newer`, `registry-unusable`.
 */
export async function restore({ config, file, isCheck, now }: RestoreOptions): Promise<RestoreResult> {
  const { dataDir, missionsDir } = config;
  if (!existsSync(file)) throw new LazarusError("usage", `${file} is not there`);
  if (!isCheck) mustBeEmpty(dataDir);
  const near = isCheck ? dirname(file) : dirname(dataDir);
  if (!isCheck) makePath(near, 0o755);
  const staging = mkdtempSync(join(near, ".lazarus-restore-"));
  try {
    const manifest = await unpack(file, staging);
    mustBeKnown(manifest, file, staging);
    const said = { at: manifest.at, version: manifest.version, schema: manifest.schema };
    if (isCheck) return { ...said, cells: manifest.cells.length, restored: false };
    mustBeFree(missionsDir, manifest.cells);
    await place(staging, manifest, config);
    forgetPast(join(staging, "data", REGISTRY), now);
    takePlace(join(staging, "data"), dataDir);
    return { ...said, cells: manifest.cells.length, restored: true };
  } catch (error) {
    if (systemCode(error) === "ENOSPC")
      throw new LazarusError("disk-full", `restoring ${file}: the disk is full; nothing was changed`, {
        cause: error,
      });
    throw error;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Only into an empty `data`, and never beside a server. */
function mustBeEmpty(dataDir: string): void {
  if (!existsSync(dataDir)) return;
  const inside = readdirSync(dataDir);
  if (inside.length === 0) return;
  const lock = inside.includes("lock.db") ? takeLock(dataDir) : undefined;
  lock?.release();
  const what = lock === null ? "a lazarus is at work on it: stop it first" : "it is not empty";
  throw new LazarusError(
    "usage",
    `restoring into ${dataDir}: ${what}. Move it away, with missions, or name another one (data in lazarus.yaml)`,
  );
}

async function unpack(file: string, staging: string): Promise<BackupManifest> {
  const doing = `reading ${file}`;
  const parts: readonly string[] = [MANIFEST, ...PARTS];
  const listed = await tar(["-tzf", file], doing).catch((error: unknown) => {
    throw damaged(file, explain(error));
  });
  const names = listed.split("\n").filter((name) => name !== "");
  const strange = names.find((name) => !parts.includes(name));
  if (strange !== undefined) throw damaged(file, `it holds ${JSON.stringify(strange.slice(0, 80))}`);
  await tar(["-xzf", file, "-C", staging, "--no-same-owner", ...names], doing);
  const manifest = readManifest(staging, file);
  for (const [part, facts] of Object.entries(manifest.files)) {
    if (facts === undefined) continue;
    const path = join(staging, part);
    const found = existsSync(path) ? await factsOf(path) : null;
    if (found?.sha256 !== facts.sha256) throw damaged(file, `${part} is not what the manifest says`);
  }
  if (manifest.files["lazarus.db"] === undefined) throw damaged(file, "it holds no registry");
  return manifest;
}

const damaged = (file: string, why: string) =>
  new LazarusError(
    "usage",
    `${file} is no backup of Lazarus, or it is damaged: ${why}. Nothing was changed; take another one`,
  );

function mustBeKnown({ schema, version }: BackupManifest, file: string, staging: string): void {
  if (schema > MIGRATIONS.length)
    throw new LazarusError(
      "registry-newer",
      `${file} was made by Lazarus ${version}, which is newer (schema ${schema}, this one knows ${MIGRATIONS.length}): install that version`,
    );
  const { check } = inspectDb(join(staging, "lazarus.db"));
  if (check !== "ok") throw damaged(file, `its registry is not whole (${check})`);
}

function mustBeFree(missionsDir: string, cells: readonly string[]): void {
  const there = cells.filter((cell) => existsSync(join(missionsDir, cell)));
  if (there.length === 0) return;
  const more = there.length > 1 ? ` and ${there.length - 1} more` : "";
  throw new LazarusError(
    "usage",
    `restoring into ${missionsDir}: ${there[0]}${more} is there already. Move missions away, or name another directory (missions in lazarus.yaml)`,
  );
}

async function place(
  staging: string,
  { files, cells }: BackupManifest,
  config: RestoreOptions["config"],
): Promise<void> {
  const data = join(staging, "data");
  mkdirSync(data, { mode: 0o700 });
  for (const name of ["lazarus.db", ...KEYS] as const) {
    if (files[name] === undefined) continue;
    copyFileSync(join(staging, name), join(data, name));
    chmodSync(join(data, name), 0o600);
  }
  const how = ["--numeric-owner", "-p"];
  if (files["mirrors.tar"] !== undefined)
    await tar(["-xf", join(staging, "mirrors.tar"), "-C", data, ...how], "restoring the mirrors");
  if (files["cells.tar"] === undefined) return;
  const { missionsDir } = config;
  makePath(missionsDir, 0o711);
  if (roomAt(missionsDir) < files["cells.tar"].bytes)
    throw new LazarusError(
      "disk-full",
      `restoring into ${missionsDir}: there is too little room; nothing was changed`,
    );
  // Under another name until all are there: a cell is whole or absent.
  const fresh = mkdtempSync(join(missionsDir, ".restore-"));
  try {
    await tar(["-xf", join(staging, "cells.tar"), "-C", fresh, ...how], "restoring the cells");
    for (const cell of cells) renameSync(join(fresh, cell), join(missionsDir, cell));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Last of all: with the registry the restore is done. */
function takePlace(from: string, dataDir: string): void {
  if (existsSync(dataDir)) rmSync(dataDir, { recursive: true });
  renameSync(from, dataDir);
}
