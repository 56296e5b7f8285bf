import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CellUser, ChildSpec, RunSpec, Surroundings } from "../../src/backends/backend.ts";
import { PATIENCE_MS } from "./until.ts";

/** Directories of a cell, as far as a backend needs them, and specs for runs in it. */
export interface CellRig {
  readonly cellId: string;
  readonly root: string;
  readonly around: Surroundings;
  /** Directory of executables that agents may see. */
  readonly bin: string;
  path(...parts: string[]): string;
  /** A run of `sh -c script`. */
  script(text: string, more?: Partial<RunSpec>): RunSpec;
  run(command: readonly string[], more?: Partial<RunSpec>): RunSpec;
  child(command: readonly string[], more?: Partial<ChildSpec>): ChildSpec;
  executable(name: string, text: string, mode?: number): string;
  text(...parts: string[]): string;
  remove(): void;
}

/** With a user, worktree, artifacts and home are its own, as in cells where Lazarus is root. */
export function createCellRig(cellName = "cell", user: CellUser | null = null): CellRig {
  const root = mkdtempSync(join(tmpdir(), "lazarus-cell-"));
  const cellId = crypto.randomUUID();
  const path = (...parts: string[]) => join(root, cellName, ...parts);
  const bin = join(root, "bin");
  for (const name of ["worktree", "artifacts", "home/allegro", "state", "logs", "config/prompts"]) {
    mkdirSync(path(name), { recursive: true });
  }
  mkdirSync(bin);
  mkdirSync(join(root, "mirror"));
  writeFileSync(path("config/brief.md"), "# Brief\n");
  writeFileSync(path("config/prompts/1.md"), "# Prompt\n");
  if (user !== null) {
    chmodSync(root, 0o711);
    for (const name of ["worktree", "artifacts", "home", "home/allegro"]) {
      chmodSync(path(name), 0o700);
      chownSync(path(name), user.uid, user.gid);
    }
  }
  const around: Surroundings = {
    cellId,
    dirs: {
      cell: path(),
      worktree: path("worktree"),
      artifacts: path("artifacts"),
      home: path("home/allegro"),
      brief: path("config/brief.md"),
      prompt: path("config/prompts/1.md"),
      mirror: join(root, "mirror"),
    },
    env: { LAZARUS_CELL: cellId, PATH: `${bin}:/usr/bin:/bin`, HOME: path("home/allegro") },
    role: "executor",
    limits: { memoryBytes: null, processes: null, fileBytes: null, openFiles: null },
    network: "none",
    paths: [bin],
    image: null,
    user,
  };
  const run = (command: readonly string[], more: Partial<RunSpec> = {}): RunSpec => ({
    ...around,
    run: 1,
    agent: "allegro",
    command,
    stdinPath: null,
    logPath: path("logs/allegro-1.log"),
    stateDir: path("state"),
    ...more,
  });
  return {
    cellId,
    root,
    around,
    bin,
    path,
    run,
    script: (text, more) => run(["sh", "-c", text], more),
    child: (command, more = {}) => ({
      ...around,
      command,
      stdoutPath: path("state/out"),
      timeoutMs: PATIENCE_MS,
      stderrBytes: 1_000,
      ...more,
    }),
    executable(name, text, mode = 0o755) {
      const file = join(bin, name);
      writeFileSync(file, text);
      chmodSync(file, mode);
      return file;
    },
    text: (...parts) => readFileSync(path(...parts), "utf8"),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
