import type { Harvest } from "../../protocol/shapes.ts";
import { restOf } from "../budget.ts";
import type { Cell, Run } from "../cell.ts";
import type { Exit } from "../exit.ts";
import { sessionIdOf } from "../names.ts";
import { againPrompt } from "../prompt.ts";
import { beforeOf } from "../registry/before.ts";
import { followUpOf, triesOf } from "../steps/decide.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * Does what follows from the exit of a cell's last run: a retry is a row that waits for its time, and a
 * person is asked once.
 */
export function createAfterExit(
  deps: Pick<ReportDeps, "registry" | "steps" | "clock" | "config" | "announce">,
) {
  const { registry, steps, clock, config, announce } = deps;

  function ask(cellId: string, n: number, latch: string | null): void {
    registry.update(cellId, { breaker: latch });
    announce({ kind: "needs-you", cell: registry.mustCell(cellId), run: registry.mustRun(cellId, n) });
  }

  return {
    follow(cell: Cell, run: Run, found: { readonly exit: Exit; readonly harvest: Harvest }): void {
      const { exit, harvest } = found;
      const isReboot = exit.class === "machine" && harvest.signs?.isRebooted === true;
      const verdict = followUpOf({ ...exit, isReboot }, cell, {
        now: clock.now(),
        tries: triesOf(registry.runs(cell.id)),
        revives: config.limits.revives,
        jitter: jitterOf(cell.id, run.n),
      });
      const rest = restOf(cell, { registry, config });
      // Not even a retry, which is the same turn, has a budget then. A question is asked all the same.
      const isOver = verdict.kind === "retry" || exit.class === "over-limit";
      if (rest !== null && rest.kind !== "turns" && isOver) {
        announce({ kind: "rests", cell, run: registry.mustRun(cell.id, run.n), rest });
        return;
      }
      if (verdict.kind === "ask") ask(cell.id, run.n, verdict.latch);
      if (verdict.kind !== "retry") return;
      registry.addRun({
        cellId: cell.id,
        agent: run.agent,
        role: run.role,
        requester: run.requester,
        state: "waiting",
        notBefore: verdict.at,
        isAutomatic: true,
        prompt: againPrompt(beforeOf(cell, registry, run.agent)),
      });
      steps.admitWaiting();
    },

    /** A retry that could not even be started: nobody would hear of it. */
    refused(cellId: string, run: Run, why: string): void {
      ask(cellId, run.n, `it could not be started again: ${why}`);
    },
  };
}

/** 0 to 1, the same for one run whenever it is asked for. */
function jitterOf(cellId: string, n: number): number {
  return Number.parseInt(sessionIdOf(cellId, String(n)).slice(0, 8), 16) / 0xffffffff;
}
