import { mkdir } from "node:fs/promises";
import { readLock } from "../../backends/os/state-files.ts";
import { systemCode } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import { type CellPaths, directoryError, writeFileInside } from "./directory.ts";
import { removeTree } from "./remove-tree.ts";
import { below, inDirectory, openDirectory, readInside } from "./safe-files.ts";

/** Name of the file below `config/prompts/` that holds what a run starts with. */
export function promptFileOf(run: number): string {
  return `${run}.md`;
}

/**
 * Writes what a run starts with, whatever an earlier run may have left under that name, and answers its
 * SHA-256. Of a run that was begun before Lazarus was killed it stays what that run was given.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function keepPrompt(paths: CellPaths, run: number, text: string): Promise<string> {
  const isBegun = readLock(paths.state, run) !== undefined;
  const given = isBegun ? await readPrompt(paths, run) : null;
  if (given !== null) return sha256(given);
  await makePrompts(paths);
  await writeFileInside(paths.cell, ["config", "prompts"], promptFileOf(run), text);
  return sha256(text);
}

async function readPrompt(paths: CellPaths, run: number): Promise<string | null> {
  const read = await inDirectory(paths.cell, ["config", "prompts"], (directory) =>
    readInside(directory, promptFileOf(run), { end: "start", maxBytes: MOST_BYTES }),
  );
  return read?.text ?? null;
}

/** Far more than any text that is ever written there. */
const MOST_BYTES = 16 * 1024 ** 2;

/** Where an agent with our rights has put something else in its place, that goes. */
async function makePrompts(paths: CellPaths): Promise<void> {
  try {
    const config = await openDirectory(paths.cell, "config");
    try {
      const isThere = await inDirectory(paths.cell, ["config", "prompts"], async () => true);
      if (isThere) return;
      await removeTree(paths.config, "prompts");
      await mkdir(below(config, "prompts"), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
      await config.sync();
    } finally {
      await config.close();
    }
  } catch (error) {
    throw directoryError(error, `making ${paths.prompts}`);
  }
}
