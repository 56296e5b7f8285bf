import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Backend, ChildEnd, Handle, Surroundings } from "../../backends/backend.ts";
import { LazarusError, saysDiskFull, systemCode } from "../../errors.ts";
import type { Fork, Harvest, Seams } from "../../protocol/shapes.ts";
import { type CellPaths, COLLECTED, directoryError, whatIs } from "../disk/directory.ts";
import { readReport } from "../disk/log-tail.ts";
import { below, openDirectory } from "../disk/safe-files.ts";
import { broughtBy, emptyTree } from "../git/brought.ts";
import type { Git } from "../git/git.ts";
import { inspect } from "../git/inspect.ts";
import { measure, sinceTheirs } from "../git/measure.ts";
import type { Quarantine } from "../git/quarantine.ts";
import { showDiff } from "../git/show-diff.ts";
import { COLLECT_SCRIPT, parseSaid, type Said } from "./collect-script.ts";
import { readQuestion, readSaid, readSigns } from "./evidence.ts";

export interface CollectDeps {
  readonly git: Git;
  readonly quarantine: Quarantine;
  readonly maxFileBytes: number;
  readonly redact: (text: string) => string;
  readonly secrets: readonly string[];
}

export interface CollectPlan {
  readonly paths: CellPaths;
  readonly backend: Backend;
  readonly surroundings: Surroundings;
  readonly agent: string;
  readonly baseCommit: string;
  readonly branch: string;
  readonly run: number;
  /** Name of the run's log below `logs/`. */
  readonly log: string;
  /** Epoch ms; reports that are older belong to an earlier run. */
  readonly since: number;
  readonly handle: Handle | null;
  /** Epoch ms. */
  readonly endedAt: number;
  /** What people pushed in between, oldest first. */
  readonly seams: Seams;
  /**
   * It started from a fork's commit, and nothing of it is in the target yet. The mirror holds the fork's
   * `commit`.
   */
  readonly fork: Fork | null;
  /** Whether it was an agent whose stream of events is known. */
  readonly isKnown: boolean;
}

const CHILD_MS = 60_000;
const REPORT_BYTES = 64 * 1024;
const LOG_BYTES = 4 * 1024;
const DIFF_BYTES = 20 * 1024;

type Work = Omit<Harvest, "report" | "question" | "signs" | "said" | "logTail">;

const NOTHING: Work = {
  changed: false,
  tip: null,
  commits: [],
  commitCount: 0,
  files: 0,
  added: 0,
  removed: 0,
  hadUncommitted: false,
  unfinished: null,
  salvaged: null,
  heldBack: [],
  protectedPaths: [],
  forbidden: [],
  diff: null,
  closing: [],
};

/**
 * Takes what a run made out of its cell: a child with the agent's rights makes a bundle of it, which is
 * checked and measured in quarantine. Whatever is wrong with the work is a sentence in `heldBack`; the cell's
 * own copy stays as it is.
 * @throws LazarusError what is wrong with us: `disk-full`, `git`, `backend`.
 */
export async function collect(deps: CollectDeps, plan: CollectPlan): Promise<Harvest> {
  const { paths, surroundings } = plan;
  const work = await collectWork(deps, plan);
  if (work.tip === null) await deps.quarantine.remove(surroundings.cellId);
  const report = await readReport(paths.cell, {
    since: plan.since,
    maxBytes: REPORT_BYTES,
    redact: deps.redact,
  });
  const traces = { ...plan, cellDir: paths.cell, redact: deps.redact };
  const [question, signs] = [await readQuestion(traces), await readSigns(traces)];
  const told = await readSaid(traces, LOG_BYTES);
  return { ...hideSecrets(work, deps.redact), report, question, signs, ...told };
}

/** What a run made is told in words that the agent chose: names of files, subjects, authors. */
function hideSecrets(work: Work, redact: (text: string) => string): Work {
  return {
    ...work,
    heldBack: work.heldBack.map(redact),
    protectedPaths: work.protectedPaths.map(redact),
    closing: work.closing.map(redact),
    commits: work.commits.map((one) => ({
      ...one,
      subject: redact(one.subject),
      author: redact(one.author),
    })),
  };
}

async function collectWork(deps: CollectDeps, plan: CollectPlan): Promise<Work> {
  const { cellId } = plan.surroundings;
  if ((await whatIs(plan.paths.worktree)) !== "directory") {
    return {
      ...NOTHING,
      changed: true,
      heldBack: ["the worktree is gone, or a link: there is nothing to take out"],
    };
  }
  const taken = await takeOut(deps, plan);
  if ("fault" in taken)
    return { ...NOTHING, changed: true, salvaged: taken.salvaged, heldBack: [taken.fault] };
  const { said, salvaged } = taken;
  const seen = {
    hadUncommitted: said.uncommitted,
    unfinished: said.unfinished,
    salvaged: salvagedText(salvaged, said),
  };
  if (said.behind)
    return {
      ...NOTHING,
      ...seen,
      heldBack: ["HEAD was moved back to before the commit the cell started from"],
    };
  if (said.nothing) return { ...NOTHING, ...seen };
  const theirs = said.theirs ? takenTip(plan) : undefined;
  if (theirs === undefined)
    await keepBundle(join(deps.quarantine.dir(cellId), "branch.bundle"), plan.paths.cell);
  try {
    const found = await (theirs === undefined ? lookThrough(deps, plan) : measureTheirs(deps, plan, theirs));
    return { ...found, ...seen };
  } catch (error) {
    // The same work would come to the same limit again.
    if (!(error instanceof LazarusError) || error.code !== "over-limit") throw error;
    return { ...NOTHING, ...seen, changed: true, heldBack: [error.message] };
  }
}

/** The agent added nothing to what people pushed: all of it is on the forge, and was looked at there. */
async function measureTheirs(deps: CollectDeps, plan: CollectPlan, tip: string): Promise<Work> {
  const { maxFileBytes } = deps;
  const { baseCommit: base, seams } = plan;
  const repository = plan.surroundings.dirs.mirror;
  const whole = await measure(deps.git, { base, seams, maxFileBytes, repository, tip });
  return whole.commitCount === 0 ? NOTHING : { ...NOTHING, ...whole, changed: true, tip };
}

/** Checks, measures and inspects what was taken out, in quarantine. */
async function lookThrough(deps: CollectDeps, plan: CollectPlan): Promise<Work> {
  const { cellId, dirs } = plan.surroundings;
  const { mirror } = dirs;
  const { maxFileBytes } = deps;
  const span = { base: plan.baseCommit, seams: plan.seams, maxFileBytes };
  const checked = await deps.quarantine.admit({ cellId, mirror, baseCommit: plan.baseCommit });
  if (checked.tip === null) return { ...NOTHING, changed: true, heldBack: [checked.why] };
  const { repository, tip } = checked;
  const measured = await measure(deps.git, { ...span, repository, tip });
  // All that people have of it already was looked at before, or is their own.
  const base = await sinceTheirs(deps.git, { ...span, repository, tip });
  const { fork, baseCommit } = plan;
  const brought = fork === null ? null : await broughtBy(deps.git, { repository, fork, baseCommit });
  const range = { repository, base, tip, brought };
  const findings = await inspect(deps, range);
  const held = [...measured.heldBack, ...findings.protectedPaths, ...findings.forbidden];
  // Whoever decides about it sees it on the card.
  const shown = { ...range, base: brought === null ? base : (brought.since ?? emptyTree(tip)) };
  const diff = held.length === 0 ? null : (await showDiff(deps, shown, DIFF_BYTES)).text;
  return { ...NOTHING, changed: true, tip, ...measured, ...findings, diff };
}

/** What the tree was moved to before a run, because people had pushed it. */
function takenTip({ seams }: Pick<CollectPlan, "seams">): string | undefined {
  return seams.findLast((one) => one.isTaken)?.to;
}

function salvagedText(salvaged: string | null, said: Said): string | null {
  if (said.partial === null) return salvaged;
  const partial = `not every file could be taken: ${said.partial === "" ? "git does not say why" : said.partial}`;
  return salvaged === null ? partial : `${salvaged}; ${partial}`;
}

type Taken =
  | { readonly said: Said; readonly salvaged: string | null }
  | { readonly fault: string; readonly salvaged: string | null };

/** Asks the cell's own repository first, then, where that is of no use, takes the bare files. */
async function takeOut(deps: CollectDeps, plan: CollectPlan): Promise<Taken> {
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
  deps: CollectDeps,
  plan: CollectPlan,
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
  if (end.code !== 0 && saysDiskFull(end.stderr)) {
    throw new LazarusError(
      "disk-full",
      `taking the work out of cell ${surroundings.cellId}: no space left on the device`,
      { retryable: true },
    );
  }
  return end;
}

/**
 * Leaves a copy of the bundle in the cell's `archive/`, so that the work survives whatever happens to the
 * quarantine.
 */
async function keepBundle(bundle: string, cellDir: string): Promise<void> {
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
      const fresh = below(archive, `.${COLLECTED}.new`);
      await rm(fresh, { force: true, recursive: true });
      await copyFile(bundle, fresh);
      await rename(fresh, below(archive, COLLECTED));
    } finally {
      await archive.close();
    }
  } catch (error) {
    throw directoryError(error, `keeping a copy of the work in ${join(cellDir, "archive")}`);
  }
}
