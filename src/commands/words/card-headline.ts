import { type Cell, isResting, isVisit, type Run } from "../../cells/cell.ts";
import { isLost } from "../../cells/lost.ts";
import { heldFor, isRetryInLine, isReviewInLine, triesOf } from "../../cells/steps/decide.ts";
import { code, type Markdown, md, raw, threadLink } from "../../gitea/markdown.ts";
import type { Deps } from "../command.ts";
import { beingChecked } from "./check-words.ts";
import { ailment } from "./health-words.ts";
import { ordinal } from "./replies.ts";
import { day, endOfRun, span, timeUtc } from "./run-words.ts";
import { whyNothing } from "./said-words.ts";
import { endOfSetup, failedSetup, notSetUp, settingUp } from "./setup-words.ts";
import { placeInTeam, teamOf } from "./team-words.ts";

export type CardDeps = Pick<Deps, "registry" | "clock" | "config"> & {
  readonly steps: Pick<Deps["steps"], "blockedBy" | "checks">;
  /** Leaves out what changes all the time. */
  readonly isCalm?: boolean;
};

/** The first words of a card: how the cell is, what came of it. */
export function headline(cell: Cell, run: Run | null, deps: CardDeps): Markdown {
  const agent = run?.agent ?? cell.agent;
  if (cell.closing?.thenDestroy) return md`**being destroyed** by ${cell.closing.by}`;
  switch (cell.state) {
    case "proposed":
      return waiting(cell, run, deps);
    case "active":
      return (
        settingUp(cell, run) ??
        (isResting(cell, run) ? beingChecked(deps.steps.checks.results(cell)) : null) ??
        ailment(cell, agent) ??
        (run !== null && isVisit(run)
          ? md`**${agent} looks at the work** on ${raw(`#${cell.number}`)}, invited by ${run.requester.login}`
          : null) ??
        md`**${agent} is working** on ${raw(`#${cell.number}`)}${placeInTeam(agent, teamOf(cell, deps.registry))}`
      );
    case "idle":
      return idle(cell, run, deps);
    case "closing":
      return md`**being closed** by ${cell.closing?.by ?? "lazarus"}`;
    case "archived":
      return comingBack(cell, run, deps) ?? archived(cell, deps);
    case "destroyed":
      return md`**destroyed** by ${lastWho(cell, deps)}`;
    default:
      return cell.state satisfies never;
  }
}

function waiting(cell: Cell, run: Run | null, deps: CardDeps): Markdown {
  if (cell.waitsForApproval) {
    const people = deps.config.directors.length === 0 ? "" : ` (${deps.config.directors.join(", ")})`;
    const { agents } = teamOf(cell, deps.registry);
    return md`**${agents.join(", then ")} ${agents.length === 1 ? "waits" : "wait"} for approval** by a director${people}`;
  }
  const blocked = run === null ? null : deps.steps.blockedBy(run);
  if (blocked !== null) return md`**${cell.agent} waits for a place**: ${inLine(blocked, deps)}`;
  return md`**${cell.agent} is being started** on ${raw(`#${cell.number}`)}`;
}

/** The same of one that was lost with its runner. */
function beginningAnew(run: Run | null, deps: CardDeps): Markdown | null {
  if (run?.state !== "admitted" && run?.state !== "waiting") return null;
  const blocked = run.state === "waiting" ? deps.steps.blockedBy(run) : null;
  if (blocked === null) return md`**${run.agent} is about to begin anew**`;
  return md`**${run.agent} waits for a place**, to begin anew: ${inLine(blocked, deps)}`;
}

/** Null: nobody asked for a run of the archived cell. */
function comingBack(cell: Cell, run: Run | null, deps: CardDeps): Markdown | null {
  if (isLost(cell)) return beginningAnew(run, deps);
  if (run?.state === "admitted") return md`**being brought back** from its archive for ${run.agent}`;
  if (run?.state !== "waiting") return null;
  const blocked = deps.steps.blockedBy(run);
  return blocked === null
    ? md`**about to be brought back** from its archive for ${run.agent}`
    : md`**${run.agent} waits for a place**, to go on from the archive: ${inLine(blocked, deps)}`;
}

/** `7th in line; 2 of 3 cells of acme run`. */
function inLine(blocked: { readonly place: number; readonly limit: string }, { isCalm }: CardDeps): string {
  return isCalm === true ? "" : `${ordinal(blocked.place)} in line; ${blocked.limit}`;
}

function idle(cell: Cell, last: Run | null, deps: CardDeps): Markdown {
  // One that was withdrawn before it began says nothing of how the cell is.
  const run = deps.registry.lastKeptRun(cell.id) ?? last;
  if (last !== null && isRetryInLine(last)) return retrying(last, run, deps);
  const agent = run?.agent ?? cell.agent;
  if (last !== null && isReviewInLine(last))
    return md`**${agent} is about to answer a review**${inSomeTime(last, deps)}`;
  if (run?.state === "waiting" || run?.state === "admitted") return md`**${agent} is about to go on**`;
  if (run?.state === "ended" && run.startedAt !== null && run.collectedAt === null) {
    return md`**${agent} has ended** (${endOfRun(run)}): what it left is being looked at`;
  }
  const unready = notSetUp(run);
  if (unready !== null) return unready;
  const harvest = cell.harvest;
  const ended = run === null ? "" : endOfRun(run);
  if (harvest === null) return md`**${agent} could not go on**`;
  const need = run === null ? null : needOf(run);
  if (need !== null)
    return harvest.tip === null
      ? md`**needs you**: ${need}`
      : md`**needs you**: ${need}; ${size(cell)}${destination(cell)}`;
  if (!harvest.changed) {
    if (cell.outcome === "failed") return md`**${agent} stopped**: ${ended}`;
    const why = whyNothing(harvest.said);
    const because = why === null ? md`` : md`: ${why}`;
    return run?.stopped == null
      ? md`**${agent} changed nothing**${because}`
      : md`**${agent} changed nothing**, ${ended}${because}`;
  }
  if (cell.outcome !== "failed" && run?.stopped != null)
    return md`**${agent} was stopped** (${ended}): ${size(cell)}${destination(cell)}`;
  if (run?.exitClass === "nothing-changed" && harvest.tip !== null)
    return md`**${agent} added nothing**: ${size(cell)}${destination(cell)}`;
  const verb = cell.outcome === "failed" ? md`**${agent} stopped** (${ended})` : md`**${agent} is done**`;
  if (harvest.tip === null) return md`${verb}: held back`;
  return md`${verb}: ${size(cell)}${destination(cell)}`;
}

/** Other reviews may join it until then. */
function inSomeTime(run: Run, { clock }: CardDeps): Markdown {
  const at = run.notBefore ?? 0;
  return at <= clock.now() ? md`` : md` at ${timeUtc(at, clock.now())}`;
}

/** What of a run's end a person must see to; null where it is none of these. */
export function needOf(run: Run): string | null {
  if (failedSetup(run) !== null) return `${run.agent}'s cell could not be set up (${endOfSetup(run)})`;
  if (run.exitClass === "question") return `${run.agent} asks a question`;
  if (run.exitClass === "not-logged-in") return `${run.agent} is not logged in`;
  if (run.exitClass === "no-credit") return `${run.agent} has no credit left with its model`;
  if (run.exitClass === "cannot-run") return `${run.agent} cannot be run (${endOfRun(run)})`;
  return null;
}

/** It goes on by itself: when, and why not now. */
function retrying(run: Run, before: Run | null, deps: CardDeps): Markdown {
  const { registry, clock, config, steps } = deps;
  const now = clock.now();
  if (before === null || run.notBefore === null || run.notBefore <= now) {
    const blocked = steps.blockedBy(run);
    if (blocked === null) return md`**${run.agent} is about to go on**`;
    return md`**${run.agent} waits for a place**: ${inLine(blocked, deps)}`;
  }
  const at = timeUtc(run.notBefore, now);
  if (before.exitClass === "quota") {
    const why = before.resetsAt === null ? "its quota is used up" : "its quota resets";
    return md`**${run.agent} goes on at ${at}**: ${why}`;
  }
  const count = `${triesOf(registry.runs(run.cellId)).crashes} of ${config.limits.revives}`;
  // It was written down a moment after that time was set.
  const wait = Math.round((run.notBefore - run.createdAt) / 1_000) * 1_000;
  return md`**${run.agent} tries again in ${span(wait)}** (${count}): ${endOfRun(before)}`;
}

/** `2 commits, 3 files, +41 −7`. */
export function size(cell: Cell): string {
  const harvest = cell.harvest;
  if (harvest === null) return "";
  const plural = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${plural(harvest.commitCount, "commit")}, ${plural(harvest.files, "file")}, +${harvest.added} −${harvest.removed}`;
}

function destination(cell: Cell): Markdown {
  if (heldFor(cell).length > 0) return md`, held back`;
  if (cell.pushRefused !== null) return md`, not published`;
  if (cell.publishedTip !== cell.harvest?.tip) return md`, being published`;
  const branch = cell.publishedBranch ?? cell.branch;
  if (cell.delivery === "branch" && branch === cell.branch) return md` → ${code(branch)}`;
  if (cell.pullRequest === null) return md` → ${code(branch)}, its draft is being opened`;
  return md` → draft ${pullRequestLink(cell)}`;
}

/**
 * `#271`, or `acme/app#271` where it is in another repository: a link that no edit of a card makes a
 * reference of.
 */
export function pullRequestLink(cell: Cell): Markdown {
  const { fullName } = cell.repository;
  const repository = cell.pullRequestRepository ?? fullName;
  const isHere = repository.toLowerCase() === fullName.toLowerCase();
  // `https://git.example.org/acme/app/issues/262`: below what comes before its last four parts lie all
  // repositories.
  const root = cell.issueUrl.split("/").slice(0, -4).join("/");
  return threadLink(
    `${isHere ? "" : repository}#${cell.pullRequest}`,
    `${root}/${repository}/pulls/${cell.pullRequest}`,
  );
}

/** Why, what is left of it, and where another run would begin. */
function lossOf(cell: Cell, deps: CardDeps): Markdown {
  const why = deps.registry.history(cell.id).at(-1)?.why ?? "its runner was given up";
  if (cell.publishedTip === null)
    return md`${why}: nothing had been pushed, so another run begins at its base`;
  const at = cell.pullRequest === null ? code(cell.publishedBranch ?? cell.branch) : pullRequestLink(cell);
  return md`${why}: what it pushed stays (${at}), and another run begins there`;
}

function archived(cell: Cell, deps: CardDeps): Markdown {
  const by = lastWho(cell, deps);
  if (isLost(cell)) return md`**lost**, ${lossOf(cell, deps)}`;
  if (cell.sealedAt === null) return cell.outcome === "declined" ? md`**declined**` : md`**not made**`;
  const kept = cell.keepUntil === null ? "" : `, kept until ${day(cell.keepUntil)}`;
  if (cell.outcome === "expired") return md`**closed, its time was up**: ${published(cell)}, archived${kept}`;
  if (cell.outcome === "discarded") return md`**closed by ${by}** without publishing, archived${kept}`;
  return md`**closed by ${by}**: ${published(cell)}, archived${kept}`;
}

/** Where the work of a closed cell is to be found. */
export function published(cell: Cell): Markdown {
  if (cell.outcome === "merged" || cell.outcome === "rejected") return decided(cell);
  if (cell.publishedTip === null && cell.harvest?.changed === false) return md`nothing to publish`;
  if (cell.publishedTip === null || cell.outcome === "discarded") return md`not published${heldWords(cell)}`;
  const held = heldWords(cell);
  if (cell.pullRequest !== null) return md`published as ${pullRequestLink(cell)}${held}`;
  return md`published on ${code(cell.publishedBranch ?? cell.branch)}${held}`;
}

/** Its time was up while something kept its work from being published: that is said. */
function heldWords(cell: Cell): Markdown {
  const isLate = cell.harvest !== null && cell.harvest.tip !== null && cell.harvest.tip !== cell.publishedTip;
  if (!isLate || cell.outcome !== "expired") return md``;
  const why = [...heldFor(cell), cell.pushRefused, cell.repositoryTrouble].filter((one) => one !== null);
  const because = why.length === 0 ? "" : `: ${why.join("; ")}`;
  return md` (what it made last is only in the seal${because})`;
}

function lastWho(cell: Cell, deps: CardDeps): string {
  return deps.registry.history(cell.id).at(-1)?.who ?? "lazarus";
}

/** What people made of its pull request, and whether anything came too late for that. */
function decided(cell: Cell): Markdown {
  const link = cell.pullRequest === null ? raw(`#${cell.number}`) : pullRequestLink(cell);
  const isLate = cell.harvest !== null && cell.harvest.tip !== null && cell.harvest.tip !== cell.publishedTip;
  const late = isLate ? md` (what was made after its last push is only in the seal)` : md``;
  return cell.outcome === "merged" ? md`merged as ${link}${late}` : md`${link} was not merged${late}`;
}
