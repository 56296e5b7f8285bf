import { takeFromRunner } from "./leave-runner.ts";
import type { StepDeps } from "./steps/deps.ts";
import type { Steps } from "./steps/steps.ts";
import type { Stored } from "./stored-seal.ts";

/** A cell's seal is kept, in the caller's transaction; false where it is not that cell's last any more. */
export function sealKept(
  deps: Pick<StepDeps, "registry" | "queue" | "uids" | "clock" | "left"> & {
    readonly steps: Pick<Steps, "card">;
  },
  cellId: string,
  what: Pick<Stored, "place" | "digest" | "bytes">,
): boolean {
  const { registry, clock, steps } = deps;
  const cell = registry.cell(cellId);
  if (cell === null || cell.state !== "archived" || cell.sealedAt === null || cell.closing !== null)
    return false;
  const isOver = cell.stuck?.job === "store";
  registry.update(cellId, {
    stored: { ...what, at: clock.now(), isOnly: false },
    ...(isOver ? { stuck: null } : {}),
  });
  const last = registry.lastRun(cellId);
  const isWanted = last?.state === "waiting" || last?.state === "admitted";
  if (registry.runners.one(cell.runner)?.draining === true && !isWanted)
    takeFromRunner(deps, registry.mustCell(cellId));
  if (isOver) steps.card(cellId);
  return true;
}
