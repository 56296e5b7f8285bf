import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CellUser, ChildSpec } from "../backends/backend.ts";
import { closedDirectory } from "../backends/os/user.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import type { Finding } from "./finding.ts";

const PATIENCE_MS = 20_000;

/** A place below the missions root that is like a cell's, for as long as something is tried there. */
export interface Scene {
  readonly root: string;
  /** As cells have one where Lazarus is root. */
  readonly user: CellUser | null;
  readonly config: Config;
}

/** Makes a scene, and takes it away again; what is thrown on it is a finding. */
export async function onScene(
  what: string,
  config: Config,
  play: (scene: Scene) => Promise<Finding[]>,
): Promise<Finding[]> {
  let root: string;
  try {
    root = mkdtempSync(join(config.missionsDir, ".doctor-"));
  } catch (error) {
    return [
      { level: "FAIL", what, detail: `nothing can be made in ${config.missionsDir}: ${explain(error)}` },
    ];
  }
  try {
    const { user, warning } = userFor(root, config);
    return [...warning, ...(await play({ root, user, config }))];
  } catch (error) {
    return [{ level: "FAIL", what, detail: explain(error) }];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The last user of the range, unless it could not come to its own directory. */
function userFor(root: string, { uids }: Config): { user: CellUser | null; warning: Finding[] } {
  chmodSync(root, 0o711);
  if (process.getuid?.() !== 0) return { user: null, warning: [] };
  const user = { uid: uids.last, gid: uids.last, groups: [] };
  const closed = closedDirectory(root, user);
  if (closed === null) return { user, warning: [] };
  const detail = `a user of a cell's own cannot enter ${closed}: chmod o+x it, or put missions elsewhere`;
  return { user: null, warning: [{ level: "warn", what: "users of cells", detail }] };
}

/** A short command on a scene, in the surroundings of an agent that may reach nothing. */
export function childOn(
  { root, user }: Scene,
  command: readonly string[],
  more: Partial<Pick<ChildSpec, "env" | "paths" | "image" | "timeoutMs">> = {},
): ChildSpec {
  const cell = join(root, "cell");
  const [worktree, artifacts, home] = [join(cell, "worktree"), join(cell, "artifacts"), join(cell, "home")];
  if (!existsSync(cell)) mkdirSync(cell, { mode: 0o711 });
  for (const dir of [worktree, artifacts, home]) {
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 });
    if (user !== null) chownSync(dir, user.uid, user.gid);
  }
  chmodSync(cell, 0o711);
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", ...more.env, LAZARUS_CELL: "doctor", HOME: home };
  return {
    cellId: "doctor",
    dirs: {
      ...{ cell, worktree, artifacts, home, brief: join(cell, "brief.md"), prompt: null },
      mirror: join(root, "mirror"),
    },
    role: "executor",
    limits: { memoryBytes: null, processes: null, fileBytes: null, openFiles: null },
    ...{ network: "none", paths: more.paths ?? [], image: more.image ?? null, user, command, env },
    ...{ stdoutPath: join(root, "said"), timeoutMs: more.timeoutMs ?? PATIENCE_MS, stderrBytes: 1_000 },
  };
}
