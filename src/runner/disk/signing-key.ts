import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CellUser } from "../../backends/backend.ts";
import { explain, LazarusError } from "../../errors.ts";
import { type CellPaths, directoryError, writeFileInside } from "./directory.ts";
import { lendFile } from "./owner.ts";
import { removeTree } from "./remove-tree.ts";
import { inDirectory } from "./safe-files.ts";

const NAME = "signing-key";

/** Where an agent finds the key that signs its commits. */
export function signingKeyIn(paths: CellPaths): string {
  return join(paths.cell, "config", NAME);
}

/**
 * Puts a copy of the agent's signing key into `config/`, where only the cell's user can read it besides us.
 * @throws LazarusError `configuration` where the key cannot be read, `directory`, `disk-full`.
 */
export async function lendSigningKey(
  paths: CellPaths,
  key: { readonly path: string; readonly user: CellUser | null },
): Promise<void> {
  const text = await readFile(key.path, "utf8").catch((error: unknown) => {
    throw new LazarusError("configuration", `reading the signing key ${key.path}: ${explain(error)}`);
  });
  await writeFileInside(paths.cell, ["config"], NAME, text);
  if (key.user !== null) await lendFile(paths, { names: ["config"], file: NAME, mode: 0o640 }, key.user);
}

/** Removes it again: a seal holds no keys. */
export async function removeSigningKey(cellDir: string): Promise<void> {
  try {
    await inDirectory(cellDir, ["config"], (config) => removeTree(`/proc/self/fd/${config.fd}`, NAME));
  } catch (error) {
    throw directoryError(error, `removing the signing key from ${cellDir}`);
  }
}
