import { join } from "node:path";
import type { Handle } from "../../backends/backend.ts";
import type { MemoryKills } from "../../backends/os/groups/cell-groups.ts";
import { LazarusError } from "../../errors.ts";
import type { PointAnswer } from "../../protocol/points.ts";
import type { Fork, Harvest } from "../../protocol/shapes.ts";
import { whatIs } from "../disk/directory.ts";
import { readReport } from "../disk/log-tail.ts";
import { broughtBy, emptyTree } from "../git/brought.ts";
import type { Git } from "../git/git.ts";
import { inspect } from "../git/inspect.ts";
import { measure, sinceTheirs } from "../git/measure.ts";
import { showDiff } from "../git/show-diff.ts";
import type { KnownSecret } from "../known-secrets.ts";
import type { Said } from "./collect-script.ts";
import { readQuestion, readSaid, readSigns } from "./evidence.ts";
import { type Asked, readAnswers } from "./point-answers.ts";
import { keepBundle, type TakeOutDeps, type TakeOutPlan, takenTip, takeOut } from "./take-out.ts";

export interface CollectDeps extends TakeOutDeps {
  readonly git: Git;
  readonly maxFileBytes: number;
  readonly redact: (text: string) => string;
  readonly secrets: readonly KnownSecret[];
  /** Patterns of more paths that wait for a director's word. */
  readonly protected: readonly string[];
  readonly untouched: readonly string[];
}

export interface CollectPlan extends TakeOutPlan {
  /** Name of the run's log below `logs/`. */
  readonly log: string;
  /** Epoch ms; reports that are older belong to an earlier run. */
  readonly since: number;
  readonly handle: Handle | null;
  /** See `Traces`. */
  readonly memoryKills: MemoryKills | null;
  /** Epoch ms. */
  readonly endedAt: number;
  /**
   * It started from a fork's commit, and nothing of it is in the target yet. The mirror holds the fork's
   * `commit`.
   */
  readonly fork: Fork | null;
  /** Whether it was an agent whose stream of events is known. */
  readonly isKnown: boolean;
  /** Points that it was to answer; null: none. */
  readonly asked: Asked | null;
}

export interface Collected {
  readonly harvest: Harvest;
  readonly answers: readonly PointAnswer[];
}

export const REPORT_BYTES = 64 * 1024;
export const LOG_BYTES = 4 * 1024;
const DIFF_BYTES = 20 * 1024;

export type Work = Omit<Harvest, "report" | "question" | "signs" | "said" | "logTail">;

export const NOTHING: Work = {
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
  shownSecrets: [],
  diff: null,
  closing: [],
};

/**
 * Takes what a run made out of its cell: a child with the agent's rights makes a bundle of it, which is
 * checked and measured in quarantine. Whatever is wrong with the work is a sentence in `heldBack`; the cell's
 * own copy stays as it is.
 * @throws LazarusError what is wrong with us: `disk-full`, `git`, `backend`.
 */
export async function collect(deps: CollectDeps, plan: CollectPlan): Promise<Collected> {
  const { paths, surroundings } = plan;
  const work = await collectWork(deps, plan);
  const answers =
    plan.asked === null ? [] : await answersOf(deps, plan, { asked: plan.asked, tip: work.tip });
  if (work.tip === null) await deps.quarantine.remove(surroundings.cellId);
  const report = await readReport(paths.cell, {
    since: plan.since,
    maxBytes: REPORT_BYTES,
    redact: deps.redact,
  });
  const traces = { ...plan, cellDir: paths.cell, redact: deps.redact };
  const [question, signs] = [await readQuestion(traces), await readSigns(traces)];
  const told = await readSaid(traces, LOG_BYTES);
  return { harvest: { ...hideSecrets(work, deps.redact), report, question, signs, ...told }, answers };
}

/** Where the tip is what people pushed, it lies in the mirror; so does what the forge has. */
async function answersOf(
  deps: CollectDeps,
  plan: CollectPlan,
  { asked, tip }: { readonly asked: Asked; readonly tip: string | null },
): Promise<PointAnswer[]> {
  const { cellId, dirs } = plan.surroundings;
  const isTheirs = tip !== null && plan.seams.some((seam) => seam.to === tip);
  const repository = isTheirs ? dirs.mirror : join(deps.quarantine.dir(cellId), "repository.git");
  const work = tip === null ? null : { repository, base: plan.baseCommit, tip };
  return readAnswers(deps, { cellDir: plan.paths.cell, asked, work });
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
    return { ...NOTHING, ...seen, changed: true, heldBack: [limitOf(error)] };
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
  try {
    const findings = await inspect(deps, range);
    const held = [...measured.heldBack, ...findings.protectedPaths, ...findings.forbidden];
    const isHeld = held.length > 0 || findings.shownSecrets.length > 0;
    // Whoever decides about it sees it on the card.
    const shown = { ...range, base: brought === null ? base : (brought.since ?? emptyTree(tip)) };
    const diff = !isHeld ? null : (await showDiff(deps, shown, DIFF_BYTES)).text;
    return { ...NOTHING, changed: true, tip, ...measured, ...findings, diff };
  } catch (error) {
    // What was measured before the limit says more than the limit does.
    return { ...NOTHING, ...measured, changed: true, heldBack: [...measured.heldBack, limitOf(error)] };
  }
}

/** What is said of work that comes to a limit: it would come to it again. Other errors are thrown on. */
function limitOf(error: unknown): string {
  if (error instanceof LazarusError && error.code === "over-limit") return error.message;
  throw error;
}

function salvagedText(salvaged: string | null, said: Said): string | null {
  if (said.partial === null) return salvaged;
  const partial = `not every file could be taken: ${said.partial === "" ? "git does not say why" : said.partial}`;
  return salvaged === null ? partial : `${salvaged}; ${partial}`;
}
