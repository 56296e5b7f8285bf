import type { Config } from "../../config/config.ts";
import {
  type CheckCommand,
  checksOf,
  REPOSITORY_FILE,
  REPOSITORY_FILE_BYTES,
  type RepositoryChecks,
  type RepositoryCommand,
  readRepositoryFile,
} from "../../config/repository-checks.ts";
import { LazarusError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import type { Git } from "../git/git.ts";
import type { Mirrors } from "../git/mirror.ts";

/** A command that is to be run for a cell. */
export interface PlannedCommand extends CheckCommand {
  /** `setup`, or the name of a check. */
  readonly name: string;
  /** `.lazarus.yml at a1b2c3d` where the command stands there; null: in lazarus.yaml. */
  readonly source: string | null;
  /** Of all that it does: the same is not done twice on the same files. */
  readonly digest: string;
}

/** All commands of a repository, as they hold for one cell. */
export interface PlannedCommands {
  /** Null: there is none. */
  readonly setup: PlannedCommand | null;
  /** In their order. */
  readonly checks: readonly PlannedCommand[];
  /** What cannot be run, and why; the name is `setup`, or a check's. */
  readonly faults: readonly { readonly name: string; readonly why: string }[];
}

export interface CommandsDeps {
  readonly config: Pick<Config, "checks">;
  readonly git: Git;
  readonly mirrors: Mirrors;
}

/** Of a cell what tells where the commands stand. */
export type RuledCell = Pick<CellSpec, "repository" | "rules" | "baseRef" | "baseCommit" | "user">;

/**
 * What the configuration, and the repository's own file where that counts, say of a cell's commands. The file
 * is read at the commit that was pinned with the cell, in the mirror: nothing in the cell can change it. What
 * it says of a name goes before what lazarus.yaml does.
 * @throws LazarusError `configuration` where the file cannot be used at all, or `git`.
 */
export async function plannedCommands(
  deps: CommandsDeps,
  cell: RuledCell,
  signal: AbortSignal,
): Promise<PlannedCommands> {
  const granted = checksOf(deps.config.checks, cell.repository.fullName);
  if (granted === null) return { setup: null, checks: [], faults: [] };
  const theirs = granted.from === "branch" ? await readFile(deps, { cell, granted }, signal) : null;
  const choose = (name: string, said: RepositoryCommand | undefined, own: Own) => {
    if (said?.kind === "fault") return { name, why: said.why };
    if (said?.kind === "command") return planned(name, said.command, theirs?.source ?? null);
    return own === null || own.run === null ? null : planned(name, { ...own, run: own.run }, null);
  };
  const names = new Set([...granted.checks.keys(), ...(theirs?.checks.keys() ?? [])]);
  const setup = choose("setup", theirs?.setup, granted.setup);
  const checks = [...names].map((name) =>
    choose(name, theirs?.checks.get(name), granted.checks.get(name) ?? null),
  );
  return {
    setup: setup !== null && "why" in setup ? null : setup,
    checks: checks.flatMap((one) => (one === null || "why" in one ? [] : [one])),
    faults: [setup, ...checks].flatMap((one) => (one !== null && "why" in one ? [one] : [])),
  };
}

type Own = RepositoryChecks["setup"];

interface TheirFile {
  readonly source: string;
  readonly setup: RepositoryCommand;
  readonly checks: ReadonlyMap<string, RepositoryCommand>;
}

/** Null: there is no such file. */
async function readFile(
  deps: CommandsDeps,
  { cell, granted }: { readonly cell: RuledCell; readonly granted: RepositoryChecks },
  signal: AbortSignal,
): Promise<TheirFile | null> {
  const { ref, commit } = cell.rules ?? { ref: cell.baseRef, commit: cell.baseCommit };
  const source = `${REPOSITORY_FILE} at ${commit.slice(0, 7)}`;
  const mirror = await deps.mirrors.provide(
    cell.repository,
    { commit, ref, group: cell.user?.groups[0] ?? null },
    signal,
  );
  const doing = `reading ${source}`;
  const args = ["ls-tree", "-z", "--long", "--full-tree", commit, "--", REPOSITORY_FILE];
  const { stdout } = await deps.git({ dir: mirror, args, doing, signal });
  if (stdout === "") return null;
  const [, kind = "", hash = "", size = ""] = /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t/.exec(stdout) ?? [];
  if (!/^100(644|755)$/.test(kind)) throw unusable(source, "it is no regular file");
  if (Number(size) > REPOSITORY_FILE_BYTES) throw unusable(source, "it is larger than 16 KB");
  const text = await deps.git({ dir: mirror, args: ["cat-file", "blob", hash], doing, signal });
  const file = readRepositoryFile(text.stdout, granted);
  if (file.kind === "fault") throw unusable(source, file.why);
  return { source, setup: file.setup, checks: file.checks };
}

function unusable(source: string, why: string): LazarusError {
  return new LazarusError(
    "configuration",
    `reading ${source}: ${why}; it is mended on the base branch, then summon again`,
  );
}

function planned(name: string, command: CheckCommand, source: string | null): PlannedCommand {
  const { run, network, limitMs, set } = command;
  const variables = Object.entries(set).sort(([one], [other]) => (one < other ? -1 : 1));
  const digest = sha256(JSON.stringify([run, network, variables]));
  return { name, run, network, limitMs, set, source, digest };
}

/**
 * The setup alone. @throws LazarusError `configuration` where it, or the file in which it stands, cannot be
 * used, or `git`.
 */
export async function plannedSetup(
  deps: CommandsDeps,
  cell: RuledCell,
  signal: AbortSignal,
): Promise<PlannedCommand | null> {
  const { setup, faults } = await plannedCommands(deps, cell, signal);
  const fault = faults.find((one) => one.name === "setup");
  if (fault === undefined) return setup;
  const { commit } = cell.rules ?? { commit: cell.baseCommit };
  throw unusable(`${REPOSITORY_FILE} at ${commit.slice(0, 7)}`, fault.why);
}
