import type { Role, Run, TurnKind } from "./cell.ts";
import type { ExitClass } from "./exit.ts";
import { isUncollected } from "./steps/decide.ts";

/**
 * `waiting`: nothing of it has begun; `working`: until its last run is looked at, and while a retry is in
 * line; `withdrawn`: taken out of the line before it began.
 */
export type TurnState = "waiting" | "working" | "over" | "withdrawn";

/** One agent's go at the tree, for one reason. Its runs are attempts at it. */
export interface Turn {
  readonly n: number;
  readonly agent: string;
  readonly role: Role;
  readonly kind: TurnKind;
  readonly state: TurnState;
  /** What its last run turned out to be; null while it is not over. */
  readonly end: ExitClass | null;
  /** Epoch ms. */
  readonly startedAt: number | null;
  readonly runs: readonly number[];
}

/** The turns of a cell, oldest first, as its runs tell them. Pure. */
export function turnsOf(runs: readonly Run[]): Turn[] {
  const byTurn = new Map<number, Run[]>();
  for (const run of runs) byTurn.set(run.turn, [...(byTurn.get(run.turn) ?? []), run]);
  return [...byTurn].flatMap(([n, attempts]) => {
    const [first] = attempts;
    if (first === undefined) return [];
    const state = stateOf(attempts);
    return {
      ...{ n, agent: first.agent, role: first.role, kind: first.turnKind, state },
      end: state === "over" ? (attempts.findLast((run) => run.exitClass !== null)?.exitClass ?? null) : null,
      startedAt: attempts.find((run) => run.startedAt !== null)?.startedAt ?? null,
      runs: attempts.map((run) => run.n),
    };
  });
}

function stateOf(attempts: readonly Run[]): TurnState {
  const last = attempts.at(-1);
  const hasBegun = attempts.some((run) => run.startedAt !== null);
  if (last === undefined || (!hasBegun && last.state === "withdrawn")) return "withdrawn";
  if (!hasBegun && last.state === "waiting") return "waiting";
  const isAtWork = last.state === "waiting" || last.state === "admitted" || last.state === "running";
  return isAtWork || isUncollected(last) ? "working" : "over";
}
