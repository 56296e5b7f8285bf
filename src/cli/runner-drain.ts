import { shortId } from "../cells/cell.ts";
import { takeFromRunner } from "../cells/leave-runner.ts";
import { letGoLane } from "../cells/steps/seal-jobs.ts";
import { mayMove } from "../cells/stored-seal.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Parts } from "../control.ts";
import { formatCount } from "../units.ts";
import { EXIT } from "./exit-codes.ts";

const MOST_LISTED = 10_000;

/** Takes from it what control keeps the seal of, and says what is left. */
export function drained(
  name: string,
  { isEmpty, parts }: { readonly isEmpty: boolean; readonly parts: Parts },
): StoredAnswer {
  const { registry, steps, stepDeps, queue } = parts;
  for (const id of registry.runners.cellsOf(name)) {
    const last = registry.lastRun(id)?.state;
    const cell = registry.mustCell(id);
    if (!mayMove(cell) || last === "waiting" || last === "admitted") continue;
    takeFromRunner(stepDeps, cell);
    steps.card(id);
  }
  const left = registry.runners.cellsOf(name);
  const open = queue.list({ states: ["waiting", "running"], limit: MOST_LISTED });
  const going = open.filter(({ lane }) => lane.startsWith(letGoLane("", name))).length;
  const still = [
    ...(left.length === 0
      ? []
      : [`${formatCount(left.length, "cell")} still there: ${left.map(shortId).join(", ")}`]),
    ...(going === 0 ? [] : [`${formatCount(going, "archived cell")} still to be removed from its disk`]),
  ];
  const text = `${name} takes no new cells${still.length === 0 ? ", and is empty" : `; ${still.join("; ")}`}`;
  if (!isEmpty || still.length === 0) return { exitCode: 0, text, data: { name, cells: left } };
  const next = left.length === 0 ? "wait until they are" : "close or destroy them, or wait until they are";
  return { exitCode: EXIT.failed, text: `${text}; ${next}`, data: { name, cells: left } };
}
