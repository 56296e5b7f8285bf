/**
 * Where agent processes live. A Handle is plain JSON, so that a restarted runner can observe and stop what it
 * did not start.
 *
 * **start** spawns a tiny shell parent (the shim, whose script is a file without a name) in a session and
 * process group of its own, its output going to `logPath` (appended), its input from `stdinPath`. The shim
 * first takes `<stateDir>/run-<n>.lock` (O_EXCL) and leaves if it exists, then writes `<stateDir>/run.json`,
 * runs the agent and writes `<stateDir>/exit.json` last. The starter may be killed at any instant: nothing of
 * this dies with it, and a second `start` of the same run finds the first process (proven by /proc, never by
 * the file alone) or its end. Throws `LazarusError("agent-missing")` when `command[0]` cannot be found or
 * executed, `"backend"` when *we* could not run it.
 *
 * **observe** says `alive`, `exited` (the exit record, read again after the process was seen gone), or `gone`
 * (no record: it was killed together with its shim, or the machine restarted). A pid is no identity: boot id,
 * pid and start time are.
 *
 * **stop** sends TERM to everything the run started, waits `graceMs`, sends KILL to all that remains (again
 * until it is gone), writes `exit.json` if the shim could not, and answers what still lives: an empty list is
 * the proof. Stopping what is gone is no error.
 *
 * **leftovers** names every live process of a cell: of the run's session, with `LAZARUS_CELL=<id>` in its
 * environment, or of its own user.
 *
 * **runToEnd** runs a short command under exactly the conditions of an agent (environment list, limits,
 * isolation) and waits for it; it is killed after `timeoutMs`. For looking into a tree that an agent could
 * write.
 */
export interface Backend {
  readonly name: BackendName;
  check(): Promise<BackendCheck>;
  start(spec: RunSpec): Promise<Handle>;
  observe(handle: Handle): Promise<Observation>;
  stop(handle: Handle, graceMs: number): Promise<ProcessInfo[]>;
  leftovers(cellId: string, handle: Handle | null): Promise<ProcessInfo[]>;
  runToEnd(spec: ChildSpec): Promise<ChildEnd>;
}

export const BACKENDS = ["process", "sandbox", "container"] as const;
export type BackendName = (typeof BACKENDS)[number];

export type BackendCheck =
  | { readonly ok: true; readonly note: string }
  | { readonly ok: false; readonly why: string; readonly fix: string };

/**
 * A user of a cell's own, where Lazarus is root: it owns worktree, artifacts and homes, and nothing else on
 * the host. `groups` lets it read the mirror whose objects it borrows.
 */
export interface CellUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** What every process of a cell gets, agent or helper child. */
export interface Surroundings {
  readonly cellId: string;
  /** Absolute paths. */
  readonly dirs: {
    readonly cell: string;
    readonly worktree: string;
    readonly artifacts: string;
    readonly home: string;
    readonly brief: string;
    /** What a run starts with; null where it is no run. */
    readonly prompt: string | null;
    /** The mirror whose objects the worktree borrows. */
    readonly mirror: string;
  };
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly role: "observer" | "executor" | "director";
  readonly limits: {
    readonly memoryBytes: number | null;
    readonly processes: number | null;
    readonly fileBytes: number | null;
    readonly openFiles: number | null;
  };
  readonly network: "none" | "full" | readonly string[];
  readonly paths: readonly string[];
  readonly image: string | null;
  /** Null: the user that Lazarus runs as. */
  readonly user: CellUser | null;
}

export interface RunSpec extends Surroundings {
  readonly run: number;
  readonly agent: string;
  readonly command: readonly string[];
  /** File on the agent's standard input; null: /dev/null. */
  readonly stdinPath: string | null;
  readonly logPath: string;
  readonly stateDir: string;
}

export interface ChildSpec extends Surroundings {
  readonly command: readonly string[];
  /** Written by the child's standard output; created, must not exist. */
  readonly stdoutPath: string;
  readonly timeoutMs: number;
  /** More of its standard error than this is dropped. */
  readonly stderrBytes: number;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly stderr: string;
}

/** Identity of a run's shim. */
export interface Handle {
  readonly backend: BackendName;
  readonly cellId: string;
  readonly run: number;
  readonly bootId: string;
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, clock ticks since boot. */
  readonly startTicks: number;
  readonly stateDir: string;
  readonly startedAt: number;
  /** Of the cell's own user, whose processes are all the run's; none where it has none. */
  readonly uid?: number | null | undefined;
  /** How often the kernel had killed for lack of memory when it started; none where it does not count. */
  readonly oomKills?: number | null | undefined;
  /** The same for what was in the cell's control group; none where it has none. */
  readonly groupOomKills?: number | null | undefined;
}

export type Observation =
  | { readonly kind: "alive" }
  | {
      readonly kind: "exited";
      readonly code: number | null;
      readonly signal: string | null;
      readonly endedAt: number;
    }
  | { readonly kind: "gone" };

export interface ProcessInfo {
  readonly pid: number;
  readonly command: string;
}
