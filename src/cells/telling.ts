import type { Cell, Run } from "./cell.ts";
import type { Lifecycle, LifecycleDeps } from "./lifecycle.ts";
import { movedOn } from "./must-be.ts";
import type { Message, NewMessage } from "./registry/messages.ts";
import { waitsByItself } from "./steps/decide.ts";
import { endUnbegun } from "./steps/end-unbegun.ts";
import { messagesFor } from "./steps/give-messages.ts";
import { beginToldTurn } from "./steps/told-turn.ts";

/** Why a message that waits is not given. */
export interface Ended {
  readonly id: number;
  readonly state: "retracted" | "dropped";
  readonly why: string;
}

/** What becomes of what people tell agents: each is one transaction. All methods are synchronous. */
export class Telling {
  readonly #deps: LifecycleDeps & { readonly lifecycle: Lifecycle };

  constructor(deps: LifecycleDeps & { readonly lifecycle: Lifecycle }) {
    this.#deps = deps;
  }

  /**
   * Writes down what an agent is to be told, and begins a turn for it where the cell is idle. `isNow`: a run
   * that is at work is ended for it, and one that waits for its time does not. Answers the message's id.
   * @throws LazarusError `internal`, retryable, where the cell ended since the caller looked.
   */
  tell(message: NewMessage, { isNow }: { readonly isNow: boolean }): number {
    const { registry, steps } = this.#deps;
    const { cellId, author } = message;
    return registry.transaction(() => {
      const cell = registry.mustCell(cellId);
      if (!canBeTold(cell)) throw movedOn(cellId);
      const id = registry.messages.add(message);
      const last = registry.lastRun(cellId);
      if (isNow && last !== null) this.#makeWay(cell, last, author.login);
      const isBegun = beginToldTurn(this.#deps, cellId, { checked: true });
      if (!isBegun) steps.card(cellId);
      return id;
    });
  }

  #makeWay(cell: Cell, last: Run, login: string): void {
    const why = `stopped by ${login}, who has something to say`;
    const { steps } = this.#deps;
    if (cell.state !== "proposed" && (last.state === "running" || last.state === "admitted"))
      steps.putStop(cell, last, { cause: "told", why });
    if (waitsByItself(last)) endUnbegun(this.#deps, last, { stopped: why });
  }

  /** Ends messages that wait; a turn that nothing is left to be told in is withdrawn. */
  end(cellId: string, ended: readonly Ended[]): void {
    if (ended.length === 0) return;
    const { registry, lifecycle, steps, announce } = this.#deps;
    registry.transaction(() => {
      const waiting = registry.messages.waiting(cellId);
      for (const { id, state, why } of ended) {
        registry.messages.end(id, state, why);
        const one = waiting.find((message) => message.id === id);
        if (one !== undefined && state === "dropped") announce({ kind: "untold", asker: one.asker });
      }
      const run = registry.lastRun(cellId);
      const isGiven = registry.messages.of(cellId).some((message) => message.run === run?.n);
      if (run !== null && !isGiven && isLeftEmpty(run, messagesFor(run, registry))) {
        const why = `nothing is left to tell ${run.agent}`;
        lifecycle.withdraw(registry.mustCell(cellId), run, { who: "lazarus", why, outcome: "discarded" });
      }
      steps.card(cellId);
    });
  }

  /** What was taken back after it was given stays given, and the card says which turn has it. */
  tooLate({ id, cellId, run }: Message): void {
    const { registry, steps } = this.#deps;
    if (run === null) return;
    registry.transaction(() => {
      const { turn } = registry.mustRun(cellId, run);
      registry.messages.tooLate(id, `retracted too late: turn ${turn} has it`);
      steps.card(cellId);
    });
  }

  /** Begins anew a turn whose run was taken out of the line, for what is left to tell. */
  again(cellId: string): void {
    beginToldTurn(this.#deps, cellId);
  }
}

/** Whether an agent of a cell can still be told something. */
export function canBeTold(cell: Pick<Cell, "state" | "closing">): boolean {
  return cell.closing === null && ["proposed", "active", "idle"].includes(cell.state);
}

/** Its first attempt waits for its place, or has just got it, and there is nothing to give it. */
function isLeftEmpty(run: Run, messages: readonly Message[]): boolean {
  const isInLine = run.state === "waiting" || run.state === "admitted";
  return run.turnKind === "tell" && !run.isAutomatic && isInLine && messages.length === 0;
}
