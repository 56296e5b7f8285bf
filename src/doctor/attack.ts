import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Backend, CellUser, ChildSpec } from "../backends/backend.ts";
import { closedDirectory } from "../backends/os/user.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import type { Finding } from "./finding.ts";

const PATIENCE_MS = 20_000;
/** Says the number of each file of which it could read a byte; what is in them goes nowhere. */
const THIEF =
  'n=0; for file in "$@"; do n=$((n + 1)); head -c 1 "$file" >/dev/null 2>&1 && echo "$n"; done; echo tried';

/**
 * Starts what an agent would be, in a cell of its own below the missions root, and lets it try to read another cell, the configuration with the token, the
 * registry and what Lazarus has in its environment. The sandbox must stop that; a plain process is said to be able to.
 */
export async function tryToGetOut(backend: Backend, config: Config): Promise<Finding[]> {
  const what = `attack on ${backend.name}`;
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
    return [...warning, { what, ...(await steal(backend, { root, user, config })) }];
  } catch (error) {
    return [{ level: "FAIL", what, detail: explain(error) }];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** As cells have one where Lazarus is root, unless it could not come to its own directory. */
function userFor(root: string, { uids }: Config): { user: CellUser | null; warning: Finding[] } {
  chmodSync(root, 0o711);
  if (process.getuid?.() !== 0) return { user: null, warning: [] };
  const user = { uid: uids.last, gid: uids.last, groups: [] };
  const closed = closedDirectory(root, user);
  if (closed === null) return { user, warning: [] };
  const detail = `a user of a cell's own cannot enter ${closed}: chmod o+x it, or put missions elsewhere`;
  return { user: null, warning: [{ level: "warn", what: "users of cells", detail }] };
}

interface Scene {
  readonly root: string;
  readonly user: CellUser | null;
  readonly config: Config;
}

async function steal(backend: Backend, scene: Scene): Promise<Pick<Finding, "level" | "detail">> {
  const treasures = treasuresOf(scene);
  const spec = specOf(scene, ["/bin/sh", "-c", THIEF, "thief", ...treasures.map(([, path]) => path)]);
  const end = await backend.runToEnd(spec);
  const said = readFileSync(spec.stdoutPath, "utf8").trim().split("\n");
  if (said.at(-1) !== "tried") {
    return {
      level: "FAIL",
      detail: `it could not be tried: exit ${end.code ?? end.signal} ${end.stderr.trim()}`,
    };
  }
  const got = treasures.filter((_, index) => said.includes(String(index + 1))).map(([name]) => name);
  if (got.length === 0)
    return { level: "ok", detail: `an agent tried to read ${list(treasures)}, and got nothing` };
  if (backend.name === "process" && scene.user === null) {
    return {
      level: "warn",
      detail: `an agent can read ${got.join(", ")}: it is a plain process with the rights of Lazarus`,
    };
  }
  return {
    level: "FAIL",
    detail: `AN AGENT COULD READ ${got.join(", ")}: see who may read these (others need no right to); if nobody else may, report this as a bug`,
  };
}

function list(treasures: readonly (readonly [string, string])[]): string {
  return treasures.map(([name]) => name).join(", ");
}

function treasuresOf({ root, user, config }: Scene): (readonly [name: string, path: string])[] {
  const other = join(root, "other", "worktree");
  mkdirSync(other, { recursive: true, mode: 0o700 });
  writeFileSync(join(other, "secret.txt"), "of another cell\n", { mode: 0o600 });
  // The user after it: of a range's last one there is no other.
  if (user !== null)
    for (const path of [join(root, "other"), other]) chownSync(path, user.uid - 1, user.gid - 1);
  const all: (readonly [string, string | null])[] = [
    ["another cell", join(other, "secret.txt")],
    ["the configuration", config.file],
    ["the registry", join(config.dataDir, "lazarus.db")],
    ["the environment of Lazarus", `/proc/${process.pid}/environ`],
  ];
  return all.flatMap(([name, path]) => (path !== null && existsSync(path) ? [[name, path] as const] : []));
}

function specOf({ root, user }: Scene, command: readonly string[]): ChildSpec {
  const cell = join(root, "cell");
  const [worktree, artifacts, home] = ["worktree", "artifacts", "home"].map((name) => join(cell, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(cell, { mode: 0o711 });
  for (const dir of [worktree, artifacts, home]) {
    mkdirSync(dir, { mode: 0o700 });
    if (user !== null) chownSync(dir, user.uid, user.gid);
  }
  chmodSync(cell, 0o711);
  return {
    cellId: "doctor",
    dirs: {
      cell,
      worktree,
      artifacts,
      home,
      brief: join(cell, "brief.md"),
      prompt: null,
      mirror: join(root, "mirror"),
    },
    env: { LAZARUS_CELL: "doctor", PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home },
    role: "executor",
    limits: { memoryBytes: null, processes: null, fileBytes: null, openFiles: null },
    ...{ network: "none" as const, paths: [], image: null, user, command },
    ...{ stdoutPath: join(root, "said"), timeoutMs: PATIENCE_MS, stderrBytes: 1_000 },
  };
}
