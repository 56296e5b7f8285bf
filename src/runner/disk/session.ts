import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { preset, type Session, type SessionTrace } from "../../backends/presets.ts";
import { logNameOf, sessionIdOf } from "../../cells/names.ts";
import type { PresetName } from "../../preset-names.ts";
import { entriesOf } from "./entries-of.ts";
import { below, inDirectory, isAbsent, readInside } from "./safe-files.ts";

/** Where codex keeps a session (`codex/sessions/<year>/<month>/<day>/`), with room for two more. */
const DEEPEST = 7;
const MOST_ENTRIES = 20_000;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** How much of a log is looked at for the name of a session, and in how many of an agent's last runs. */
const LOG_BYTES = 256 * 1024;
const MOST_LOGS = 20;

/** The run that is about to start. */
export interface SessionSearch {
  readonly cellId: string;
  readonly cellDir: string;
  readonly run: number;
  readonly agent: { readonly name: string; readonly preset: PresetName | null; readonly command: unknown };
}

/**
 * The session that a run goes on with, found again from what the agent's earlier runs in this cell left: its
 * home and its logs, which an archive keeps. An agent that failed before it had one begins: going on with a
 * session that is not there fails each time, and so does beginning one that is. A command of the operator's
 * own begins anew each time: nobody knows how it would be told.
 */
export async function findSession(search: SessionSearch): Promise<Session> {
  const { agent, cellId } = search;
  const chosen = sessionIdOf(cellId, agent.name);
  const begins: Session = { id: chosen, isNew: true };
  if (agent.preset === null || agent.command !== null) return begins;
  const trace = preset(agent.preset).session;
  if (trace === null) return begins;
  const ids = trace.told === null ? [chosen] : await toldIds(search, trace.told);
  for (const id of ids) {
    if (trace.files === null || (await hasFile(search, trace.files, id))) return { id, isNew: false };
  }
  return begins;
}

/** What the agent called its sessions, the newest first, each once. */
async function toldIds(search: SessionSearch, told: NonNullable<SessionTrace["told"]>): Promise<string[]> {
  const { cellDir, run, agent } = search;
  const ids = await inDirectory(cellDir, ["logs"], async (logs) => {
    const found: string[] = [];
    for (let n = run - 1; n > 0 && n >= run - MOST_LOGS; n--) {
      const read = await readInside(logs, logNameOf(agent.name, n), { end: told.at, maxBytes: LOG_BYTES });
      const matches = [...(read?.text ?? "").matchAll(told.pattern)].map((match) => match[1]);
      const id = told.at === "start" ? matches[0] : matches.at(-1);
      if (id !== undefined) found.push(id);
    }
    return found;
  });
  return [...new Set(ids ?? [])];
}

/**
 * Whether the agent's home holds the file of a session: where its preset keeps them, else, since an operator
 * may set another place, anywhere.
 */
async function hasFile(
  { cellDir, agent }: SessionSearch,
  files: NonNullable<SessionTrace["files"]>,
  id: string,
): Promise<boolean> {
  for (const dir of [files.dir, []]) {
    const search = { ending: files.ending(id), depth: dir.length, budget: { left: MOST_ENTRIES } };
    const found = await inDirectory(cellDir, ["home", agent.name, ...dir], (home) => holds(home, search));
    if (found === true) return true;
  }
  return false;
}

interface Search {
  readonly ending: string;
  readonly depth: number;
  readonly budget: { left: number };
}

async function holds(directory: FileHandle, search: Search): Promise<boolean> {
  const children: string[] = [];
  for await (const entry of entriesOf(directory)) {
    if (search.budget.left-- <= 0) return false;
    const name = entry.name.toString();
    if (entry.isFile() && name.endsWith(search.ending)) return true;
    if (entry.isDirectory() && search.depth < DEEPEST) children.push(name);
  }
  for (const name of children) if (await childHolds(directory, name, search)) return true;
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
