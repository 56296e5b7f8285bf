import type { Cell } from "./cell.ts";
import type { Lifecycle, LifecycleDeps } from "./lifecycle.ts";
import type { NewItem } from "./registry/items.ts";
import { beginReviewTurn, isAskedFor } from "./steps/review-turn.ts";

/** What became of an item before it was given: it is not wanted any more, or says something else now. */
export type ItemNews =
  | { readonly n: number; readonly why: string }
  | { readonly n: number; readonly said: string };

/** What becomes of what reviews ask for: each is one transaction. All methods are synchronous. */
export class Reviewing {
  readonly #deps: LifecycleDeps & { readonly lifecycle: Lifecycle };

  constructor(deps: LifecycleDeps & { readonly lifecycle: Lifecycle }) {
    this.#deps = deps;
  }

  /** Writes down what a review asks for, and begins a turn for it where the cell is idle. */
  take(cellId: string, items: readonly NewItem[]): void {
    const { registry, steps } = this.#deps;
    registry.transaction(() => {
      const cell = registry.mustCell(cellId);
      if (!canBeReviewed(cell)) return;
      const added = registry.items.add(cellId, items);
      if (added === 0) return;
      const isAsked = items.some((item) => item.kind !== "remark");
      if (!isAsked || !beginReviewTurn(this.#deps, cellId)) steps.card(cellId);
    });
  }

  /**
   * Changes what waits to be given; a turn that nothing is left to be answered in is withdrawn.
   */
  change(cellId: string, news: readonly ItemNews[]): void {
    if (news.length === 0) return;
    const { registry, lifecycle, steps } = this.#deps;
    registry.transaction(() => {
      for (const one of news) {
        if ("said" in one) registry.items.reword(cellId, one.n, one.said);
        else registry.items.withdraw(cellId, one.n, one.why);
      }
      const run = registry.lastRun(cellId);
      const isInLine = run?.state === "waiting" || run?.state === "admitted";
      const isLeft =
        registry.items.open(cellId).some(isAskedFor) || registry.messages.waiting(cellId).length > 0;
      if (run !== null && isInLine && run.turnKind === "review" && !run.isAutomatic && !isLeft) {
        const why = "nothing is left of what was asked for";
        lifecycle.withdraw(registry.mustCell(cellId), run, { who: "lazarus", why, outcome: "discarded" });
      }
      steps.card(cellId);
    });
  }

  /** Begins anew a turn whose run was taken out of the line, for what is left to answer. */
  again(cellId: string): void {
    beginReviewTurn(this.#deps, cellId);
  }
}

/** Whether what a review of its draft asks for can still be done in a cell. */
export function canBeReviewed(cell: Pick<Cell, "state" | "closing">): boolean {
  return cell.closing === null && (cell.state === "active" || cell.state === "idle");
}
