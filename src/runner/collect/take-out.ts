import { copyFile, mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Backend, ChildEnd, Surroundings } from "../../backends/backend.ts";
import { systemCode } from "../../errors.ts";
import type { Seams } from "../../protocol/shapes.ts";
import { type CellPaths, COLLECTED, directoryError } from "../disk/directory.ts";
import { throwWhereFull } from "../disk/full-disk.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, openDirectory } from "../disk/safe-files.ts";
import type { Quarantine } from "../git/quarantine.ts";
import { COLLECT_SCRIPT, parseSaid, type Said } from "./collect-script.ts";

/** Whose work is taken out, and from where. */
export interface TakeOutPlan {
  readonly paths: CellPaths;
  readonly backend: Backend;
  readonly surroundings: Surroundings;
  readonly agent: string;
  readonly baseCommit: string;
  readonly branch: string;
  readonly run: number;
  /** What people pushed in between, oldest first. */
  readonly seams: Seams;
}

export interface TakeOutDeps {
  readonly quarantine: Quarantine;
  /** Below which no run starts. */
  readonly freeBytes: number;
}

const CHILD_MS = 60_000;

/** What the tree was moved to before a run, because people had pushed it. */
export function takenTip({ seams }: Pick<TakeOutPlan, "seams">): string | undefined {
  return seams.findLast((one) => one.isTaken)?.to;
}

/** What the child said, or why nothing could be taken out. */
type Taken =
  | { readonly said: Said; readonly salvaged: string | null }
  | { readonly fault: string; readonly salvaged: string | null };

/**
 * Has a child with the agent's rights make a bundle of the work, in quarantine. It asks the cell's own
 * repository first. Where that is of no use, it takes the bare files.
 * @throws LazarusError `disk-full`, retryable.
 */
export async function takeOut(deps: TakeOutDeps, plan: TakeOutPlan): Promise<Taken> {
  const first = await runCollectScript(deps, plan, "git");
  const said = parseSaid(first.stderr);
  if (first.code === 0 && isAnswer(said)) return { said, salvaged: null };
  const why = said.unusable === null ? `git could not be asked (${endOf(first)})` : said.unusable;
  // Only what its own look at it found unusable is replaced: one that was merely slow stays.
  const second = await runCollectScript(deps, plan, said.unusable === null ? "salvage" : "replace");
  const again = parseSaid(second.stderr);
  const salvaged = `.git was unusable (${why}), so the files of the tree were committed over the base`;
  // Files that are as they were say nothing of commits in a repository that was merely slow.
  const isKnown = said.unusable !== null || !again.nothing;
  if (second.code === 0 && isAnswer(again) && isKnown) return { said: again, salvaged };
  const how = endOf(isKnown ? second : first);
  return {
    fault: `the work could not be taken out of the cell: ${how}; it is still in its worktree`,
    salvaged: isKnown ? salvaged : null,
  };
}

function isAnswer(said: Said): boolean {
  return said.nothing || said.behind || said.theirs || said.tip !== null;
}

function endOf(end: ChildEnd): string {
  if (end.timedOut) return `it took longer than ${CHILD_MS / 1_000} s`;
  const line =
    end.stderr
      .split("\n")
      .filter((each) => /^(fatal|error):/.test(each))
      .at(-1) ?? "";
  return `${end.signal === null ? `exit ${end.code}` : `signal ${end.signal}`}${line === "" ? "" : `, ${line.slice(0, 200)}`}`;
}

async function runCollectScript(
  deps: TakeOutDeps,
  plan: TakeOutPlan,
  mode: "git" | "salvage" | "replace",
): Promise<ChildEnd> {
  const { surroundings, agent, baseCommit } = plan;
  const stdoutPath = await deps.quarantine.prepare(surroundings.cellId);
  const end = await plan.backend.runToEnd({
    ...surroundings,
    command: [
      "/bin/sh",
      "-c",
      COLLECT_SCRIPT,
      "lazarus-collect",
      mode,
      baseCommit,
      surroundings.dirs.mirror,
      agent,
      plan.branch,
      String(plan.run),
      takenTip(plan) ?? "",
    ],
    stdoutPath,
    timeoutMs: CHILD_MS,
    stderrBytes: 64 * 1024,
  });
  const places = [dirname(stdoutPath), surroundings.dirs.worktree];
  const doing = `taking the work out of cell ${surroundings.cellId}`;
  if (end.code !== 0) await throwWhereFull(end, { doing, places, freeBytes: deps.freeBytes });
  return end;
}

/**
 * Leaves a copy of the bundle in the cell's `archive/`, so that the work survives whatever happens to the
 * quarantine.
 */
export async function keepBundle(bundle: string, cellDir: string): Promise<void> {
  try {
    const cell = await openDirectory(cellDir);
    try {
      await mkdir(below(cell, "archive"), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
    } finally {
      await cell.close();
    }
    const archive = await openDirectory(cellDir, "archive");
    try {
      const name = `.${COLLECTED}.new`;
      const fresh = below(archive, name);
      await removeTree(`/proc/self/fd/${archive.fd}`, name);
      await copyFile(bundle, fresh);
      await rename(fresh, below(archive, COLLECTED));
    } finally {
      await archive.close();
    }
  } catch (error) {
    throw directoryError(error, `keeping a copy of the work in ${join(cellDir, "archive")}`);
  }
}
