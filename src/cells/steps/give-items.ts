import type { Point } from "../../protocol/points.ts";
import type { Cell, Run } from "../cell.ts";
import { withPoints } from "../points-prompt.ts";
import type { Item } from "../registry/items.ts";
import type { Registry } from "../registry/registry.ts";
import { isEndOfWork } from "./decide.ts";

/** With the mission and what people tell beside it, it stays below what a prompt may hold. */
const MOST_GIVEN_BYTES = 96 * 1024;

/**
 * Puts what reviews ask for into the prompt of a run that is about to start: what nobody was given yet, and
 * what was given to a run that did not come to its end. What is too much for one prompt waits for the next
 * turn. A first run's prompt is the brief that was approved, and nothing else.
 */
export function giveItems({ registry }: { readonly registry: Registry }, run: Run): void {
  const { kind, text } = registry.prompts.of(run);
  if (kind === "brief") return;
  let bytes = 0;
  const given = registry.items.of(run.cellId).filter((item) => {
    if (item.state !== "open" && item.state !== "given") return false;
    bytes += Buffer.byteLength(item.said) + Buffer.byteLength(item.hunk) + Buffer.byteLength(item.path);
    return bytes <= MOST_GIVEN_BYTES;
  });
  if (given.length === 0) return;
  registry.prompts.change(run, withPoints(text, given));
  registry.items.give(
    run.cellId,
    given.map((item) => item.n),
    run.turn,
  );
}

function isOf(item: Item, run: Pick<Run, "turn">): boolean {
  return item.state === "given" && item.turn === run.turn;
}

/** The points that a run was given and is to answer. */
export function pointsOf(run: Pick<Run, "cellId" | "turn">, registry: Pick<Registry, "items">): Item[] {
  return registry.items
    .ofTurn(run.cellId, run.turn)
    .filter((item) => isOf(item, run) && item.kind !== "remark");
}

/**
 * The turn of a run is over: its points that the agent said something of are answered, the others wait for
 * the next turn. `isHeard`: the agent came to the end of what it was asked, so that people hear where there
 * is no answer. Of a turn that came to nothing they hear otherwise.
 */
export function settleItems(registry: Pick<Registry, "items">, run: Run, isHeard: boolean): void {
  const isAnswered = pointsOf(run, registry).some((item) => item.verdict !== null);
  registry.items.settle(run.cellId, run.turn, { isHeard, isTold: isHeard || isAnswered });
}

/** What a runner needs to know to find the answers of a run; null where it was asked nothing. */
export function askedOf(
  cell: Pick<Cell, "publishedTip" | "peopleTip">,
  run: Run,
  registry: Pick<Registry, "items">,
): { turn: number; points: Point[]; since: string[] } | null {
  const points = pointsOf(run, registry);
  if (points.length === 0) return null;
  return {
    turn: run.turn,
    points: points.map(({ n, path, line, commit }) => ({ n, path, line, commit })),
    since: [cell.publishedTip, cell.peopleTip].filter((one) => one !== null),
  };
}

/** Turns whose answers can be posted: the work that they are about is where reviewers see it. */
export function turnsToAnswer(
  cell: Pick<Cell, "id" | "harvest" | "publishedTip" | "pullRequest" | "closing">,
  registry: Pick<Registry, "items">,
): number[] {
  const { harvest, publishedTip, pullRequest, closing } = cell;
  const isThere = harvest?.tip == null || publishedTip === harvest.tip;
  if (!isThere || pullRequest === null || (closing !== null && isEndOfWork(closing))) return [];
  return registry.items.due(cell.id);
}
