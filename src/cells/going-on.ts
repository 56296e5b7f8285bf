import type { Cell } from "./cell.ts";
import type { LifecycleDeps } from "./lifecycle.ts";
import { movedOn } from "./must-be.ts";
import { threadsOf } from "./quiet.ts";
import type { Thread } from "./registry/unasked.ts";
import { beginFixTurn } from "./steps/fix-turn.ts";
import { beginNextTurn } from "./steps/next-turn.ts";
import { beginReviewTurn } from "./steps/review-turn.ts";
import { beginToldTurn } from "./steps/told-turn.ts";
import { beginVisit } from "./steps/visit-turn.ts";

/** What a director gives a cell: a later end, and more than its limits. */
export interface More {
  readonly expiresAt: number;
  readonly costUsd: number;
  readonly tokens: number;
}

/**
 * What lets cells go on that something kept from it: each is one transaction. All methods are synchronous.
 */
export class GoingOn {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * Gives a cell more time, or more to use. That is for its own budget and for the run at work, where these
   * have limits; what waited for it begins.
   * @throws LazarusError `internal`, retryable, where the cell ended since the caller looked.
   */
  extend({ id }: Pick<Cell, "id">, more: More, by: string): void {
    const { registry, clock, steps } = this.#deps;
    registry.transaction(() => {
      const cell = registry.mustCell(id);
      if (!["proposed", "active", "idle"].includes(cell.state)) throw movedOn(id);
      const { expiresAt, costUsd, tokens } = more;
      const given = (to: { moreUsd: number; moreTokens: number }) => {
        return { moreUsd: to.moreUsd + costUsd, moreTokens: to.moreTokens + tokens };
      };
      registry.update(id, { expiresAt, ...given(cell) });
      const run = registry.lastRun(id);
      if (run !== null && run.state !== "ended" && run.state !== "withdrawn")
        registry.updateRun(id, run.n, given(run));
      const what = [...(costUsd > 0 ? [`${costUsd} USD`] : []), ...(tokens > 0 ? [`${tokens} tokens`] : [])];
      if (what.length > 0) {
        const row = { at: clock.now(), from: cell.state, to: cell.state, who: by } as const;
        registry.remember(id, { ...row, why: `given ${what.join(" and ")} more` });
        this.#goOn(id);
      }
      steps.card(id);
    });
  }

  /**
   * A director was on a thread: it, and the other one of its cells, is quiet no more, and what waited for
   * that begins. To be called after what the director's command does.
   */
  wake(thread: Thread): void {
    const { registry, steps } = this.#deps;
    registry.transaction(() => {
      const cells = this.#cellsOn(thread);
      const threads = [thread, ...cells.flatMap(threadsOf)];
      if (!threads.map((one) => registry.unasked.wake(one)).includes(true)) return;
      for (const { id } of cells) {
        this.#goOn(id);
        steps.card(id);
      }
    });
  }

  /** The same for a director who names a cell. */
  wakeCell(cell: Cell): void {
    for (const thread of threadsOf(cell)) this.wake(thread);
  }

  #cellsOn({ repository, number }: Thread): Cell[] {
    const { registry } = this.#deps;
    const all = [...registry.ofThread(repository.id, number), ...registry.ofPullRequest(repository, number)];
    const living = all.filter((cell) => cell.state !== "destroyed");
    return [...new Map(living.map((cell) => [cell.id, cell])).values()];
  }

  #goOn(cellId: string): void {
    const deps = this.#deps;
    if (beginToldTurn(deps, cellId) || beginVisit(deps, cellId) || beginNextTurn(deps, cellId)) return;
    if (!beginReviewTurn(this.#deps, cellId)) beginFixTurn(this.#deps, cellId);
  }
}
