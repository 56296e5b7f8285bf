import { turnsFromNow } from "./budget.ts";
import type { Cell, Closing, Member, Outcome, Requester, Run } from "./cell.ts";
import { canComeBack, isLost } from "./lost.ts";
import { movedOn, mustBe, mustRest } from "./must-be.ts";
import { briefPrompt, type NewPrompt, wordsPrompt } from "./prompt.ts";
import { NOTHING_IN_THE_WAY } from "./reason.ts";
import { beforeOf } from "./registry/before.ts";
import type { NewCell } from "./registry/cell-row.ts";
import type { Registry } from "./registry/registry.ts";
import type { NewRun } from "./registry/run-row.ts";
import { isEndOfWork, isUncollected, waitsByItself } from "./steps/decide.ts";
import type { StepDeps } from "./steps/deps.ts";
import { endUnbegun } from "./steps/end-unbegun.ts";
import { dropMessages } from "./steps/give-messages.ts";
import { planNext } from "./steps/proposal-jobs.ts";
import { laneOf } from "./steps/step-jobs.ts";
import type { Steps } from "./steps/steps.ts";
import { endStore } from "./steps/store-seal.ts";
import { isOnlyStored } from "./stored-seal.ts";

export interface LifecycleDeps extends StepDeps {
  readonly steps: Steps;
}

/**
 * The control side of a cell's life: what people and time ask for, each as one transaction of moves and the
 * jobs that follow. It never touches a directory; runners do, and report back (`reports/`). All methods are
 * synchronous.
 */
export class Lifecycle {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  get #steps(): Steps {
    return this.#deps.steps;
  }

  get #registry(): Registry {
    return this.#deps.registry;
  }

  /**
   * Writes down a new cell with its first run, which starts at once if there is a place for it. `next`: the
   * agents that work there after the first one, in order.
   */
  create(cell: NewCell, members: readonly Member[], why: string, next: readonly string[] = []): Run {
    return this.#registry.transaction(() => {
      this.#registry.insert(cell, members, why);
      this.#registry.team.add(cell.id, next);
      this.#deps.uids.give(cell.id, cell.repository.id);
      const { agent, requester } = cell;
      return this.#line(cell.id, { agent, requester, prompt: briefPrompt(requester) });
    });
  }

  /** Why no further cell of that repository can be made; null: it can. */
  shortage(repositoryId: number): string | null {
    return this.#deps.uids.shortage(repositoryId);
  }

  /**
   * Asks for another run of an idle cell, or of an archived one, which is brought back for it; what waits for
   * its time gives way to it, and the breaker is reset. Where its turns are used up, as many more count from
   * here: only a director may ask for that. `words`: what the requester says to the
   * agent.
   */
  rerun(cell: Cell, agent: string, by: Requester & { readonly words?: string | null }): Run {
    const requester: Requester = { id: by.id, login: by.login };
    return this.#registry.transaction(() => {
      const now = mustRest(this.#registry, cell.id, ["archived"]);
      if (now.state === "archived" && !canComeBack(now)) throw movedOn(cell.id);
      if ((isLost(now) || isOnlyStored(now)) && this.#deps.uids.of(cell.id) === null)
        this.#deps.uids.give(cell.id, cell.repository.id);
      const last = this.#registry.lastRun(cell.id);
      if (last !== null && waitsByItself(last)) {
        endUnbegun(this.#deps, last, { stopped: `${requester.login} did not wait for it` });
      } else if (isOpen(last)) throw movedOn(cell.id);
      // What the last run left is committed first, also where that had been given up.
      const ended = this.#registry.lastUnwithdrawnRun(cell.id);
      if (ended !== null && isUncollected(ended)) this.#steps.advance(cell.id);
      const turnsFrom = turnsFromNow(now, this.#deps);
      this.#registry.update(cell.id, {
        ...{ ...NOTHING_IN_THE_WAY, pushRefused: null, breaker: null, turnsFrom },
      });
      const prompt = wordsPrompt(requester, by.words ?? null, beforeOf(now, this.#registry, agent));
      const run = this.#line(cell.id, { agent, requester, prompt });
      // Whoever of the team is held and called by name has its turn with this.
      const [held] = this.#registry.team.waiting(cell.id).filter((one) => one.agent === agent);
      if (held !== undefined) this.#registry.team.begin(cell.id, held.place, run.n);
      return run;
    });
  }

  #line(cellId: string, asked: Pick<NewRun, "agent" | "requester"> & { readonly prompt: NewPrompt }): Run {
    const n = this.#registry.addRun({ cellId, role: "executor", state: "waiting", ...asked });
    // What others told or asked the agent is asked about again before it is given.
    const isChecked =
      this.#registry.messages.waiting(cellId).length === 0 && this.#registry.items.open(cellId).length === 0;
    this.#steps.admitWaiting(isChecked ? { checked: { cellId, n } } : {});
    this.#steps.card(cellId);
    return this.#registry.mustRun(cellId, n);
  }

  /**
   * Takes a run that waits in line, or has just got its place, out of it; a cell that was never made gets the
   * outcome.
   */
  withdraw(cell: Cell, run: Run, step: { who: string; why: string; outcome: Outcome }): void {
    this.#registry.transaction(() => {
      const { state } = this.#registry.mustRun(cell.id, run.n);
      if (state !== "waiting" && state !== "admitted") throw movedOn(cell.id);
      const isUnmade = this.#registry.mustCell(cell.id).state === "proposed";
      endUnbegun(this.#deps, run, { stopped: step.why });
      this.#registry.update(cell.id, {
        notStarted: step.why,
        approval: null,
        waitsForApproval: false,
        ...(isUnmade ? { outcome: step.outcome } : {}),
      });
      if (isUnmade) {
        dropMessages(this.#deps, cell.id, step.why);
        this.#registry.move(cell.id, { from: "proposed", to: "archived", who: step.who, why: step.why });
        this.#steps.keep(cell.id);
        this.#steps.sweepDirectory(cell);
        const unmade = this.#registry.mustCell(cell.id);
        const isNews = step.outcome === "declined";
        this.#deps.announce({ kind: "never-began", cell: unmade, why: step.why, isNews });
        planNext(this.#deps, cell.id);
      }
      if (cell.state === "archived" && state === "admitted") this.#steps.putAway(run);
      // Until now it was to go on, by itself or since somebody asked; now this is all there is.
      this.#steps.advance(cell.id);
      this.#steps.card(cell.id);
      this.#steps.admitWaiting();
    });
  }

  /** Lets a cell that waits for a director's word go on to its place in line. */
  approve(cell: Cell): void {
    this.#registry.transaction(() => {
      if (!mustBe(this.#registry, cell.id, ["proposed"]).waitsForApproval) throw movedOn(cell.id);
      this.#registry.update(cell.id, { waitsForApproval: false, approval: null });
      const last = this.#registry.lastRun(cell.id);
      if (last !== null) this.#steps.admitWaiting({ checked: { cellId: cell.id, n: last.n } });
      this.#steps.card(cell.id);
    });
  }

  /** Ends the current run; answers false when there is none. */
  stop(cell: Cell, who: string): boolean {
    const why = `stopped by ${who}`;
    const run = this.#registry.lastRun(cell.id);
    if (run === null) return false;
    if (this.#registry.transaction(() => this.#stopChecks(cell.id, why))) return true;
    if (run.state === "waiting") {
      this.withdraw(cell, run, { who, why, outcome: "discarded" });
      return true;
    }
    if (run.state !== "running" && run.state !== "admitted") return false;
    this.#registry.transaction(() => this.#steps.putStop(cell, run, { cause: "asked", why }));
    return true;
  }

  /**
   * Begins to close an active or idle cell; what remains to be published is published first, unless it is to
   * be discarded.
   */
  close(cell: Cell, closing: Closing, why: string): void {
    this.#registry.transaction(() => {
      this.#steps.checks.stop(cell.id, why);
      const { state } = mustBe(this.#registry, cell.id, ["active", "idle"]);
      const run = this.#registry.lastRun(cell.id);
      if (run?.state === "waiting") endUnbegun(this.#deps, run, { stopped: why });
      // Nobody waits for what would only be looked through, and may be tried again for hours.
      if (closing.discard) this.#deps.queue.end({ lane: laneOf(cell.id), kinds: ["collect"] }, why);
      if (isEndOfWork(closing))
        this.#deps.queue.end({ lane: `push:${cell.id}`, kinds: ["publish", "push"] }, why);
      dropMessages(this.#deps, cell.id, why);
      this.#registry.update(cell.id, { ...NOTHING_IN_THE_WAY, closing, pushRefused: null });
      this.#registry.move(cell.id, { from: state, to: "closing", who: closing.by, why });
      this.#steps.endReviews(cell);
      this.#steps.mark(cell.id);
      this.#steps.advance(cell.id);
      this.#steps.card(cell.id);
    });
  }

  /**
   * Lets go what was held back, or was refused by the forge: this very tip, and no other. The values of
   * `secrets`, by their names, are let go in this cell from now on.
   */
  release(cell: Cell, by: string, secrets: readonly string[] = []): void {
    this.#registry.transaction(() => {
      const { harvest, releasedSecrets, state } = mustRest(this.#registry, cell.id);
      const tip = harvest?.tip;
      if (tip === undefined || tip === null || tip !== cell.harvest?.tip) throw movedOn(cell.id);
      const letGo = (harvest?.shownSecrets ?? []).filter(({ name }) => secrets.includes(name));
      const named = letGo.map(({ name, mark }) => ({ name, mark }));
      this.#registry.update(cell.id, {
        ...NOTHING_IN_THE_WAY,
        ...{ releasedTip: tip, releasedBy: by, pushRefused: null },
        ...(named.length === 0 ? {} : { releasedSecrets: [...(releasedSecrets ?? []), ...named] }),
      });
      const why = `let go at ${tip.slice(0, 10)}, to be published`;
      this.#registry.remember(cell.id, {
        at: this.#deps.clock.now(),
        from: state,
        to: state,
        who: by,
        why,
      });
      this.#steps.retryPush(cell.id);
      this.#steps.card(cell.id);
    });
  }

  /**
   * Scrubs a cell, whatever its state: what is still alive in it is ended first, and nothing is published.
   * Asked again it tries again what had been given up.
   */
  destroy(cell: Cell, who: string): void {
    this.#registry.transaction(() => {
      const stopped = `destroyed by ${who}`;
      this.#steps.checks.stop(cell.id, stopped);
      const { state } = mustBe(this.#registry, cell.id, [
        "proposed",
        "active",
        "idle",
        "closing",
        "archived",
      ]);
      const run = this.#registry.lastRun(cell.id);
      if (run?.state === "waiting") endUnbegun(this.#deps, run, { stopped });
      dropMessages(this.#deps, cell.id, stopped);
      endStore(this.#deps, cell.id, "the cell is being destroyed");
      this.#registry.update(cell.id, {
        waitsForApproval: false,
        closing: { by: who, discard: true, thenDestroy: true, outcome: null, person: null },
      });
      if (state === "active" || state === "idle") {
        this.#registry.move(cell.id, {
          from: state,
          to: "closing",
          who,
          why: `destroyed by force by ${who}`,
        });
      }
      this.#steps.putScrub(cell);
      this.#steps.card(cell.id);
    });
  }

  /** Ends what checks a cell's work; false where nothing does. */
  #stopChecks(cellId: string, why: string): boolean {
    if (!this.#steps.checks.stop(cellId, why)) return false;
    this.#steps.mark(cellId);
    this.#steps.advance(cellId);
    this.#steps.showChecks(cellId);
    this.#steps.card(cellId);
    return true;
  }
}

function isOpen(run: Run | null): boolean {
  return run !== null && (run.state === "waiting" || run.state === "admitted" || run.state === "running");
}
