import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { below, inDirectory, isAbsent } from "./safe-files.ts";

/** Where claude (`projects/<path>/`) and qwen (`projects/<path>/chats/`) keep a session, with room for one more. */
const DEEPEST = 6;
const MOST_ENTRIES = 20_000;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Whether an agent has begun its session: somewhere in its home lies `<session id>.jsonl`, as claude and qwen keep it. An agent that failed before it had one must be told to
 * begin, since going on with a session that is not there fails each time, and so does beginning one that is.
 */
export async function hasSession(cellDir: string, agent: string, sessionId: string): Promise<boolean> {
  const budget = { left: MOST_ENTRIES };
  const found = await inDirectory(cellDir, ["home", agent], (home) =>
    holds(home, { file: `${sessionId}.jsonl`, depth: 0, budget }),
  );
  return found === true;
}

interface Search {
  readonly file: string;
  readonly depth: number;
  readonly budget: { left: number };
}

async function holds(directory: FileHandle, search: Search): Promise<boolean> {
  const entries = await readdir(`/proc/self/fd/${directory.fd}`, { withFileTypes: true });
  search.budget.left -= entries.length;
  if (entries.some((entry) => entry.isFile() && entry.name === search.file)) return true;
  if (search.depth === DEEPEST) return false;
  for (const entry of entries) {
    if (search.budget.left <= 0) return false;
    if (entry.isDirectory() && (await childHolds(directory, entry.name, search))) return true;
  }
  return false;
}

async function childHolds(parent: FileHandle, name: string, search: Search): Promise<boolean> {
  const child = await open(below(parent, name), DIRECTORY).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (child === null) return false;
  try {
    return await holds(child, { ...search, depth: search.depth + 1 });
  } finally {
    await child.close();
  }
}
