import type { Config } from "../../config/config.ts";
import {
  checksOf,
  REPOSITORY_FILE,
  REPOSITORY_FILE_BYTES,
  type RepositoryChecks,
  readRepositorySetup,
  type SetupCommand,
} from "../../config/repository-checks.ts";
import { LazarusError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import type { Git } from "../git/git.ts";
import type { Mirrors } from "../git/mirror.ts";

/** What is to be run to make a cell ready. */
export interface SetupPlan extends SetupCommand {
  /** `.lazarus.yml at a1b2c3d` where the command stands there; null: in lazarus.yaml. */
  readonly source: string | null;
  /** Of all that it does: the same is not run twice in one tree. */
  readonly digest: string;
}

export interface SetupPlanDeps {
  readonly config: Pick<Config, "checks">;
  readonly git: Git;
  readonly mirrors: Mirrors;
}

/**
 * What the configuration, and the repository's own file where that counts, say of setting a cell up; null:
 * nothing. The file is read at the commit that was pinned with the cell, in the mirror: nothing in the cell
 * can change it.
 * @throws LazarusError `configuration` where the file cannot be used, or `git`.
 */
export async function setupPlanOf(
  deps: SetupPlanDeps,
  cell: CellSpec,
  signal: AbortSignal,
): Promise<SetupPlan | null> {
  const checks = checksOf(deps.config.checks, cell.repository.fullName);
  if (checks === null || checks.setup === null) return null;
  const theirs =
    checks.from === "branch" ? await fromFile(deps, { cell, granted: checks.setup }, signal) : null;
  if (theirs !== null) return theirs;
  const { run, ...rest } = checks.setup;
  return run === null ? null : digested({ ...rest, run }, null);
}

interface Reading {
  readonly cell: CellSpec;
  readonly granted: NonNullable<RepositoryChecks["setup"]>;
}

async function fromFile(
  deps: SetupPlanDeps,
  { cell, granted }: Reading,
  signal: AbortSignal,
): Promise<SetupPlan | null> {
  const { ref, commit } = cell.rules ?? { ref: cell.baseRef, commit: cell.baseCommit };
  const source = `${REPOSITORY_FILE} at ${commit.slice(0, 7)}`;
  const cannot = (why: string) => new LazarusError("configuration", `reading ${source}: ${why}`);
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
  if (!/^100(644|755)$/.test(kind)) throw cannot("it is no regular file");
  if (Number(size) > REPOSITORY_FILE_BYTES) throw cannot("it is larger than 16 KB");
  const text = await deps.git({ dir: mirror, args: ["cat-file", "blob", hash], doing, signal });
  const said = readRepositorySetup(text.stdout, granted);
  if (said.kind === "fault") throw cannot(`${said.why}; it is mended on the base branch, then summon again`);
  return said.kind === "command" ? digested(said.setup, source) : null;
}

function digested(setup: SetupCommand, source: string | null): SetupPlan {
  const { run, network, limitMs, set } = setup;
  const variables = Object.entries(set).sort(([one], [other]) => (one < other ? -1 : 1));
  return { run, network, limitMs, set, source, digest: sha256(JSON.stringify([run, network, variables])) };
}
