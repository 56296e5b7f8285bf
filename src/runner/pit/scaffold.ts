import { statSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, toIso } from "../../clock.ts";
import { LazarusError, systemCode } from "../../errors.ts";
import { syncDirectory } from "../../sync-directory.ts";
import {
  directoryError,
  makePassable,
  noteInDaemonLog,
  pathsOf,
  SCAFFOLD,
  whatIs,
} from "../disk/directory.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, createWhole, isAbsent, openDirectory } from "../disk/safe-files.ts";
import { isCellId } from "./pit.ts";
import { CONTRACT, createLook } from "./pit-look.ts";

/** Others may be at work on the same cell: what they undo under our hands is looked at anew. */
const ATTEMPTS = 3;
const SUBDIRECTORIES = SCAFFOLD.filter(([top, below]) => below !== undefined || top === "home");

/**
 * Makes the missions root where it is missing, passable and not to be listed.
 * @throws LazarusError `directory` where that cannot be done or it is a link, `wrong-user` where root would
 * leave files that its owner cannot write.
 */
export function provideRoot(root: string): void {
  try {
    makePassable(root);
    const owner = statSync(root).uid;
    if (process.geteuid?.() !== 0 || owner === 0) return;
    throw new LazarusError(
      "wrong-user",
      `using ${root}: it belongs to user ${owner} and this is root; run lazarus as its owner`,
    );
  } catch (error) {
    throw directoryError(error, `making the missions root ${root} (missions in lazarus.yaml)`);
  }
}

/**
 * Makes a cell's scaffold, `proposed` and whole, or what is missing of it; overwrites nothing, whatever it
 * is. Answers the paths of the contract that were made: none, where it was complete.
 * @throws LazarusError `usage` for what is no UUID, `directory`, `disk-full`.
 */
export async function initCell(root: string, id: string, clock: Pick<Clock, "now">): Promise<string[]> {
  if (!isCellId(id))
    throw new LazarusError("usage", `${JSON.stringify(id)} is no cell's id: it must be a UUID`);
  const doing = `making the scaffold of cell ${id}`;
  for (let attempt = 1; ; attempt++) {
    try {
      const there = await whatIs(join(root, id));
      if (there === "other")
        throw new LazarusError("directory", `${doing}: ${join(root, id)} is not a directory`);
      const made = there === "nothing" ? await build(root, id, clock) : await complete(root, id, clock);
      if (made !== null) return made;
    } catch (error) {
      if (systemCode(error) !== "ENOENT" || attempt >= ATTEMPTS) throw directoryError(error, doing);
    }
    if (attempt >= ATTEMPTS)
      throw new LazarusError("directory", `${doing}: somebody else is at work on it`, { retryable: true });
  }
}

/** Aside, so that nobody sees half of it; null where somebody was faster. */
async function build(root: string, id: string, clock: Pick<Clock, "now">): Promise<string[] | null> {
  const fresh = join(root, `.new-${id}`);
  try {
    await mkdir(fresh, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    // Another process makes it, or was killed while it did: then here, in the open.
    await mkdir(join(root, id), { mode: 0o700 }).catch((other: unknown) => {
      if (systemCode(other) !== "EEXIST") throw other;
    });
    return null;
  }
  try {
    const made = await fill({ root, id, cellDir: fresh, clock, isNew: true });
    await rename(fresh, join(root, id));
    await syncDirectory(root);
    return made;
  } catch (error) {
    await removeTree(root, `.new-${id}`).catch(() => {});
    if (["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "")) return null;
    throw error;
  }
}

async function complete(root: string, id: string, clock: Pick<Clock, "now">): Promise<string[]> {
  const cellDir = join(root, id);
  const look = createLook({ staleMs: 0, skewMs: 0 })(cellDir, id, clock.now());
  if (look?.class === "healthy" || look?.class === "stale") return [];
  return fill({ root, id, cellDir, clock, isNew: look?.class === "uninitialized" });
}

interface Filling {
  readonly root: string;
  readonly id: string;
  /** Where the cell lies just now. */
  readonly cellDir: string;
  readonly clock: Pick<Clock, "now">;
  /** Then also with what only we know of: a home, places for handoffs. */
  readonly isNew: boolean;
}

async function fill(filling: Filling): Promise<string[]> {
  const { cellDir, isNew } = filling;
  const made: string[] = [];
  for (const name of CONTRACT.directories) if (await makeDirectory(cellDir, [name])) made.push(name);
  if (isNew) for (const names of SUBDIRECTORIES) await makeDirectory(cellDir, names);
  const at = toIso(filling.clock.now());
  for (const [path, document] of Object.entries(documentsOf(filling, at))) {
    if (await makeFile(cellDir, path, `${JSON.stringify(document, null, 2)}\n`)) made.push(path);
  }
  const entry = { at, what: isNew ? "scaffold made" : "scaffold completed", by: "pit", made };
  const log = "logs/daemon.log";
  if (await makeFile(cellDir, log, `${JSON.stringify({ ...entry, made: [...made, log] })}\n`)) made.push(log);
  else if (made.length > 0) await noteInDaemonLog(cellDir, entry);
  return made;
}

/** What nobody has asked for has no title, no target and no members yet. */
function documentsOf({ root, id }: Filling, at: string): Readonly<Record<string, object>> {
  const { worktree, artifacts, state, logs } = pathsOf(join(root, id));
  return {
    "meta/mission.json": {
      mission_id: id,
      created_at: at,
      status: "proposed",
      title: null,
      target: null,
      issue_url: null,
      requested_by: null,
      members: [],
      brief_sha256: null,
      history: [{ at, from: null, to: "proposed", who: "pit", why: "lazarus pit --init-cell" }],
    },
    "config/cell.json": {
      worktree,
      artifacts,
      heartbeat: join(state, "heartbeat.json"),
      logs,
      backend: null,
      limits: {},
      branch: null,
      base_commit: null,
    },
    "state/heartbeat.json": { at, state: "initialized", by: "pit" },
  };
}

/**
 * Whether it was made: not where something bears its name, nor where its parent is not a directory of ours.
 */
async function makeDirectory(cellDir: string, names: readonly string[]): Promise<boolean> {
  return inParent(cellDir, names, async (parent, name) => {
    try {
      await mkdir(below(parent, name), { mode: 0o700 });
    } catch (error) {
      if (systemCode(error) === "EEXIST") return false;
      throw error;
    }
    await parent.sync();
    return true;
  });
}

async function makeFile(cellDir: string, path: string, text: string): Promise<boolean> {
  return inParent(cellDir, path.split("/"), (parent, name) => createWhole(parent, name, text));
}

type Open = Awaited<ReturnType<typeof openDirectory>>;

async function inParent(
  cellDir: string,
  names: readonly string[],
  make: (parent: Open, name: string) => Promise<boolean>,
): Promise<boolean> {
  let parent: Open;
  try {
    parent = await openDirectory(cellDir, ...names.slice(0, -1));
  } catch (error) {
    // A link, a file, something closed: it stays as it is, and the look that follows names it. What vanished
    // is another matter.
    if (isAbsent(error) && systemCode(error) !== "ENOENT" && names.length > 1) return false;
    throw error;
  }
  try {
    return await make(parent, names.at(-1) ?? "");
  } finally {
    await parent.close();
  }
}
