import type { JobKind, JobPayload } from "../../protocol/jobs.ts";
import type { NewJob } from "../../queue/queue.ts";
import { type Cell, isBeingSetUp, isVisit, type Run } from "../cell.ts";
import type { StopCause } from "../exit.ts";
import { secretsGiven } from "../given-secrets.ts";
import { isLost } from "../lost.ts";
import type { Registry } from "../registry/registry.ts";
import { isGoingOnWithTeam } from "../registry/team-goes-on.ts";
import { admissible, blockingLimit, type Line, waitsForLook } from "./admission.ts";
import { givenTo, missionOf, seamsOf, specOf } from "./cell-spec.ts";
import { checkJobs } from "./check-jobs.ts";
import { Checking } from "./checking.ts";
import { decide, hasBranchOfOurs, heldFor, isEndOfWork, isToBeReviewed, wantsDraft } from "./decide.ts";
import type { StepDeps } from "./deps.ts";
import { askedOf, giveItems, turnsToAnswer } from "./give-items.ts";
import { giveMessages } from "./give-messages.ts";
import { givePlace, lackOfPlace } from "./give-place.ts";
import { giveUp } from "./give-up.ts";
import { passingMs } from "./passing.ts";
import { sealJobs } from "./seal-jobs.ts";
import { BEFORE_SCRUB, knownTip, laneOf, stepJobs } from "./step-jobs.ts";

/**
 * The jobs that follow from how a cell stands: each is put in the caller's transaction, under a key that
 * makes asking twice harmless.
 */
export class Steps {
  /** What is run on what cells pushed. */
  readonly checks: Checking;
  readonly #deps: StepDeps;
  #lookedAt = 0;

  constructor(deps: StepDeps) {
    this.#deps = deps;
    this.checks = new Checking(deps);
  }

  get #registry(): Registry {
    return this.#deps.registry;
  }
  /**
   * Gives places to runs in line, in order. A run whose requester's rights were checked just now (`checked`)
   * starts; any other goes through `admit`, which checks them again.
   */
  admitWaiting(options: { checked?: { cellId: string; n: number } } = {}): void {
    for (const run of admissible(this.#registry, this.#line())) {
      if (waitsForLook(this.#registry, run) || !givePlace(this.#deps, run)) continue;
      this.#registry.updateRun(run.cellId, run.n, { state: "admitted" });
      const isChecked = options.checked?.cellId === run.cellId && options.checked.n === run.n;
      if (isChecked) this.start(run.cellId, run.n);
      else this.#put(stepJobs.admit(run));
    }
  }

  /**
   * Gives places to retries whose time has come since it was last called; costs next to nothing where none
   * has.
   */
  admitDue(): void {
    const now = this.#deps.clock.now();
    // A clock that was set back took deadlines with it: what it had come to before says nothing now.
    const since = now < this.#lookedAt ? 0 : this.#lookedAt;
    if (this.#registry.hasDueRun(since, now)) this.#registry.transaction(() => this.admitWaiting());
    this.#lookedAt = now;
  }

  #line(): Line {
    return { limits: this.#deps.config.limits, now: this.#deps.clock.now() };
  }

  /** Which limit keeps a waiting run in line, and its place there; null when none does. */
  blockedBy(run: Run): { limit: string; place: number } | null {
    return blockingLimit(this.#registry, this.#line(), run) ?? lackOfPlace(this.#deps, run, this.#line().now);
  }

  /** Sends an admitted run, with what it is told and asked; an archived cell is brought back first. */
  start(cellId: string, n: number): void {
    this.checks.giveWay(cellId);
    const cell = this.#registry.mustCell(cellId);
    const run = this.#registry.mustRun(cellId, n);
    if (!isVisit(run)) {
      giveMessages(this.#deps, run);
      giveItems(this.#deps, run);
    }
    if (cell.state === "archived" && !isLost(cell))
      this.#put(sealJobs.restore(cell, run, this.#deps.uids.of(cellId)));
    else this.startRestored(cell, run);
  }

  /** The same for a cell that has a directory, or gets a new one. What people pushed is taken in first. */
  startRestored(cell: Cell, run: Run): void {
    const tip = knownTip(cell);
    if (cell.state === "proposed" || tip === null || isVisit(run) || isLost(cell)) {
      this.startNow(cell, run);
      return;
    }
    const [branch, user] = [cell.publishedBranch ?? cell.branch, this.#deps.uids.of(cell.id)];
    this.#put(stepJobs.takeIn(cell, run, { branch, tip, user }));
  }

  /** The same for a cell whose directory is as the run needs it. */
  startNow(cell: Cell, run: Run): void {
    this.#put(stepJobs.start(run, specOf(cell, this.#deps), givenTo(run, cell, this.#deps)));
  }

  /** A cell that was never made leaves nothing on disk, not even half of it. */
  sweepDirectory(cell: Cell): void {
    this.#put(stepJobs.sweep(cell, this.#deps.uids.of(cell.id)));
  }

  /**
   * A run on its way to its start may have a process already that nobody has reported: the start is ended,
   * and the stop that follows in the same lane looks for whatever lives in the cell.
   */
  putStop(cell: Cell, run: Run, { cause, why }: { readonly cause: StopCause; readonly why: string }): void {
    if (run.stopCause === null) this.#registry.updateRun(cell.id, run.n, { stopCause: cause });
    // Its setup may end by itself before the stop comes to it: then nothing more is to begin.
    if (isBeingSetUp(run)) this.#registry.updateRun(cell.id, run.n, { stopped: why });
    if (run.state === "admitted")
      this.#deps.queue.end({ lane: laneOf(cell.id), kinds: ["start", "admit", "restore", "take-in"] }, why);
    this.#put(stepJobs.stop(run, this.#deps.uids.of(cell.id), why));
  }

  /** Ends everything else that waits for the cell, and removes it from disk. */
  putScrub(cell: Cell): void {
    this.#deps.queue.end({ lane: laneOf(cell.id), kinds: BEFORE_SCRUB }, "the cell is being destroyed");
    this.#deps.queue.end(
      { lane: `push:${cell.id}`, kinds: ["publish", "push"] },
      "the cell is being destroyed",
    );
    const how = { user: this.#deps.uids.of(cell.id), what: `scrub:${this.#moves(cell.id)}` };
    const last = this.#registry.lastUnwithdrawnRun(cell.id);
    this.#putStep({ ...stepJobs.scrub(cell, last, how), urgent: true });
  }

  /** Puts the job for whatever the cell needs next. Harmless when asked twice. */
  advance(cellId: string): void {
    const cell = this.#registry.mustCell(cellId);
    const last = this.#registry.lastUnwithdrawnRun(cellId);
    // Who only looked changed nothing of what there is to check, and to show.
    const worked = last !== null && isVisit(last) ? this.#registry.lastKeptRun(cellId) : last;
    if (this.checks.areOver(cell)) {
      for (const turn of turnsToAnswer(cell, this.#registry)) this.#put(stepJobs.answers(cellId, turn));
      if (isToBeReviewed(cell, worked)) this.#put(stepJobs.review(cell));
    }
    const step = decide(cell, last);
    switch (step.kind) {
      case "nothing":
        this.checks.advance(cell, last?.state === "ended" ? worked : last);
        return;
      case "stop":
        this.putStop(cell, step.run, { cause: "closed", why: `closed by ${cell.closing?.by ?? "lazarus"}` });
        return;
      case "collect":
        this.#putStep(
          stepJobs.collect(cell, step.run, {
            user: this.#deps.uids.of(cellId),
            seams: seamsOf(this.#registry.runs(cellId)),
            secrets: secretsGiven(this.#registry.runs(cellId), this.#deps.config),
            asked: askedOf(cell, step.run, this.#registry),
            untouched: this.#registry.proposals.ofCell(cellId)?.wish?.untouched ?? [],
          }),
        );
        return;
      case "push":
        // Half of a team's work is published to nobody, whoever looks at it meanwhile.
        if (isVisit(step.run) && isGoingOnWithTeam(this.#registry, cellId)) return;
        this.#putStep(stepJobs.publish(step.run, step.tip, String(this.#moves(cellId))));
        return;
      case "draft":
        this.putDraft(cellId, `${cell.publishedBranch}:${this.#moves(cellId)}`);
        return;
      case "merge":
        this.#put(stepJobs.merge(cellId, step.tip, this.#moves(cellId)));
        return;
      case "seal":
        this.#putStep(
          sealJobs.seal(cell, last, { user: this.#deps.uids.of(cellId), moves: this.#moves(cellId) }),
        );
        return;
      case "scrub":
        this.putScrub(cell);
        return;
      case "give-up":
        giveUp({ ...this.#deps, steps: this }, cell, step.why);
        return;
      default:
        step satisfies never;
    }
  }

  /** Whoever was asked to look at a cell's answers need not any more, and has their say again. */
  endReviews(cell: Cell): void {
    if (cell.pullRequest !== null && this.#registry.items.of(cell.id).length > 0)
      this.#put(stepJobs.endReviews(cell.id, this.#moves(cell.id)));
  }

  /** How long an archived cell is kept, from now: to be called with each move to `archived`. */
  keep(cellId: string): void {
    const { keepMs } = this.#deps.config.limits;
    this.#registry.update(cellId, { keepUntil: keepMs === 0 ? null : this.#deps.clock.now() + keepMs });
  }

  /**
   * Publishes anew what was held back or refused: somebody has changed what was in the way, or allowed it.
   */
  retryPush(cellId: string): void {
    const step = decide(this.#registry.mustCell(cellId), this.#registry.lastUnwithdrawnRun(cellId));
    if (step.kind === "push") this.#putStep(stepJobs.publish(step.run, step.tip, crypto.randomUUID()));
    else this.advance(cellId);
  }

  /** Sends a tip to the forge, once control has made sure that the repository is the one it knows. */
  push(what: JobPayload<"publish">): void {
    const cell = this.#registry.mustCell(what.cellId);
    if (cell.harvest?.tip !== what.tip || cell.publishedTip === what.tip || heldFor(cell).length > 0) return;
    if (cell.closing !== null && isEndOfWork(cell.closing)) return;
    this.#put(stepJobs.push(cell, what));
  }

  /** Shows how the checks of a cell stand wherever its work is looked at. */
  showChecks(cellId: string): void {
    const cell = this.#registry.mustCell(cellId);
    const done = this.#registry.checks.of(cellId).filter((one) => one.endedAt !== null).length;
    if (cell.pullRequest !== null && wantsDraft(cell))
      this.putDraft(cellId, `checks:${cell.checked?.tip ?? ""}:${done}:${cell.checked?.stopped === null}`);
    this.#put(checkJobs.statuses(cellId));
  }

  /** Opens the draft, or brings its text up to date. */
  putDraft = (cellId: string, what: string): void => this.#put(stepJobs.draft(cellId, what));

  /**
   * Has an archived cell's branch removed once nothing on the forge needs it, where the configuration says
   * so.
   */
  unpublish(cell: Cell, asked: string): void {
    if (this.#deps.config.publish.prune && hasBranchOfOurs(cell)) this.#put(stepJobs.unpublish(cell, asked));
  }

  /** Deletes the branch, unless the cell was revived, or pushed something else meanwhile. */
  deleteBranch(cellId: string, tip: string): void {
    const cell = this.#registry.mustCell(cellId);
    const branch = cell.publishedBranch;
    if (!hasBranchOfOurs(cell) || branch === null || cell.publishedTip !== tip) return;
    this.#put(stepJobs.deleteBranch(cell, { branch, tip }));
  }

  /** Puts a card job; one that still waits serves as well. What is over in a moment can wait for that. */
  card = (cellId: string): void => {
    const cell = this.#registry.mustCell(cellId);
    const waitMs = passingMs(cell, this.#registry.lastUnwithdrawnRun(cellId));
    this.#put(stepJobs.card(cellId, waitMs === 0 ? undefined : this.#deps.clock.now() + waitMs));
  };

  /** For what nobody waits for, such as an agent's words: they are on the card within five minutes. */
  cardSoon(cellId: string): void {
    this.#put(stepJobs.cardSoon(this.#registry.mustCell(cellId), this.#deps.clock.now()));
  }

  /** Empties an archived cell of what its seal holds. */
  putPrune(cellId: string): void {
    this.#put(stepJobs.prune(cellId, this.#moves(cellId), this.#mission(cellId)));
  }

  /** Puts away again what was brought back of an archived cell, for a run that came to nothing. */
  putAway(run: Run): void {
    const lane = laneOf(run.cellId);
    this.#deps.queue.end({ lane, kinds: ["restore", "take-in"] }, "the run came to nothing");
    const how = { user: this.#deps.uids.of(run.cellId), mission: this.#mission(run.cellId) };
    this.#put(stepJobs.putAway(run, this.#registry.mustCell(run.cellId), how));
  }

  /** Has the runner write down in the cell's directory how it stands. */
  mark(cellId: string): void {
    this.#put(stepJobs.mark(cellId, this.#mission(cellId)));
  }

  #moves(cellId: string): number {
    return this.#registry.history(cellId).length;
  }

  #mission(cellId: string) {
    return missionOf(this.#registry.mustCell(cellId), this.#registry);
  }

  /** Asked for again after it was given up, a step is tried again: its key is said once. */
  #putStep<K extends JobKind>(job: NewJob<K>): void {
    if (this.#deps.queue.put(job) === "duplicate") this.#deps.queue.retryByKey(job.key);
  }

  #put<K extends JobKind>(job: NewJob<K>): void {
    this.#deps.queue.put(job);
  }
}
