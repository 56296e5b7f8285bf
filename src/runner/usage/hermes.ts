import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { costIn, tokensIn, type Usage, usage } from "../../protocol/usage.ts";
import { below, createWhole, inDirectory, isAbsent, readInside } from "../disk/safe-files.ts";
import { type Row, readTable } from "./sqlite-table.ts";

/** Whose usage is read. */
interface OfHermes {
  readonly cellDir: string;
  readonly run: number;
  readonly agent: string;
}

const NOTHING: Usage = { costUsd: null, tokens: null };
const BEFORE_BYTES = 1_024;

/**
 * What all sessions in an agent's home have used, as Hermes writes it into its `state.db`; null where there
 * is none, or it cannot be read just now.
 */
export async function readHermes({ cellDir, agent }: OfHermes): Promise<Usage | null> {
  const rows = await inDirectory(cellDir, ["home", agent], async (home) => {
    const main = await openOwn(home, "state.db");
    if (main === null) return null;
    const log = await openOwn(home, "state.db-wal");
    try {
      return await readTable({ main, log }, "sessions");
    } finally {
      await main.close();
      await log?.close();
    }
  });
  if (rows == null) return null;
  return rows.map(usedIn).reduce(
    (sum, one) => ({
      costUsd: costIn((sum.costUsd ?? 0) + (one.costUsd ?? 0)),
      tokens: tokensIn((sum.tokens ?? 0) + (one.tokens ?? 0)),
    }),
    NOTHING,
  );
}

async function openOwn(home: FileHandle, name: string): Promise<FileHandle | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(below(home, name), flags).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (file === null) return null;
  const stat = await file.stat();
  if (stat.isFile() && stat.nlink === 1) return file;
  await file.close();
  return null;
}

const COUNTS = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"] as const;

/** What it was charged, else what it reckons. */
function usedIn(row: Row): Usage {
  const tokens = COUNTS.reduce((sum, name) => sum + (tokensIn(row[name]) ?? 0), 0);
  return { costUsd: costIn(row.actual_cost_usd) ?? costIn(row.estimated_cost_usd), tokens: tokensIn(tokens) };
}

function beforeFile(run: number): string {
  return `used-before-${run}.json`;
}

/**
 * Keeps what the home has used already when a run begins: its sessions may be older, or come from a template.
 * Asked again it changes nothing.
 */
export async function keepUsedBefore(of: OfHermes): Promise<void> {
  const before = (await readHermes(of)) ?? NOTHING;
  await inDirectory(of.cellDir, ["state"], (state) =>
    createWhole(state, beforeFile(of.run), JSON.stringify(before)),
  );
}

/** What was kept when the run began. */
export async function usedBefore({ cellDir, run }: OfHermes): Promise<Usage> {
  const how = { end: "start", maxBytes: BEFORE_BYTES } as const;
  const read = await inDirectory(cellDir, ["state"], (state) => readInside(state, beforeFile(run), how));
  try {
    return read == null ? NOTHING : usage.parse(JSON.parse(read.text));
  } catch {
    // An older version started it, or it was half-written: all counts.
    return NOTHING;
  }
}
