import type { JobPayload } from "../../protocol/jobs.ts";
import type { SetupEnd } from "../../protocol/shapes.ts";
import { type Cell, isBeingSetUp, isSetupDone, type Run, type Setup } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import type { ReportedDeps } from "./deps.ts";

interface SetupReportDeps extends Pick<ReportedDeps, "registry" | "steps" | "announce"> {
  wake(cell: Cell, run: Run, why: string): void;
  rest(cell: Cell, step: { who: string; why: string }): void;
}

/** What follows from what runners report of a cell that is set up for a run: only one that was set up well is followed by the run. */
export function createSetupReports({ registry, steps, announce, wake, rest }: SetupReportDeps) {
  return {
    onSetupStarted({ cellId, run: n, setup }: JobPayload<"setup-started">): void {
      const cell = registry.mustCell(cellId);
      const run = registry.mustRun(cellId, n);
      if (run.state !== "admitted" || run.setup !== null) return;
      registry.updateRun(cellId, n, { setup: { ...setup, end: null } });
      const canWake = ["proposed", "idle", "archived"].includes(cell.state);
      if (canWake && !cell.closing?.thenDestroy) {
        registry.update(cellId, { ...NOTHING_IN_THE_WAY, setUpWith: null });
        wake(cell, run, `setting up: ${shortCommand(setup)}`);
        steps.mark(cellId);
      }
      steps.advance(cellId);
      steps.card(cellId);
    },

    onSetupEnded({ cellId, run: n, end }: JobPayload<"setup-ended">): void {
      const cell = registry.mustCell(cellId);
      const run = registry.mustRun(cellId, n);
      // Where somebody stops the run already, the end of that stop is what counts.
      if (!isBeingSetUp(run) || run.setup === null || run.stopped !== null) return;
      const setup = { ...run.setup, end };
      registry.updateRun(cellId, n, { setup });
      registry.update(cellId, { setUpWith: isSetupDone(end) ? setup.digest : null });
      if (isSetupDone(end)) {
        steps.startNow(registry.mustCell(cellId), registry.mustRun(cellId, n));
        steps.card(cellId);
        return;
      }
      const why = notSetUp(end);
      registry.updateRun(cellId, n, {
        ...{ state: "ended", endedAt: end.endedAt },
        ...{ stopped: why, stopCause: "not-set-up" },
      });
      registry.update(cellId, { ...NOTHING_IN_THE_WAY, outcome: "failed" });
      if (cell.state === "active") rest(cell, { who: "lazarus", why });
      if (cell.closing === null)
        announce({ kind: "needs-you", cell: registry.mustCell(cellId), run: registry.mustRun(cellId, n) });
      steps.advance(cellId);
      steps.card(cellId);
      steps.admitWaiting();
    },
  };
}

/** The first line of its command, cut: cards and tables have room for no more. */
export function shortCommand(setup: Pick<Setup, "command">): string {
  const [first = "", ...others] = setup.command.trim().split("\n");
  const isCut = first.length > WIDEST || others.length > 0;
  return isCut ? `${first.slice(0, WIDEST)}…` : first;
}

const WIDEST = 60;

/** A setup that ended with the run it was for, which somebody stopped. */
export function cutShort(setup: Setup, ended: JobPayload<"run-ended">): Setup {
  return {
    ...setup,
    end: {
      endedAt: ended.endedAt,
      code: null,
      signal: null,
      stopped: ended.stopped,
      tail: "",
      refusedHosts: ended.refusedHosts,
      leftovers: [],
      changed: [],
      untracked: [],
    },
  };
}

/** How a setup failed, in a few words. */
export function notSetUp(end: SetupEnd): string {
  return `not set up: ${howSetupEnded(end)}`;
}

/** `exit 1`, `over its limit of 5m`, `there is no such command (exit 127)`. */
export function howSetupEnded(end: SetupEnd): string {
  if (end.stopped !== null) return end.stopped;
  if (end.signal !== null) return `ended by signal ${end.signal}`;
  if (end.code === null) return "gone, and nobody saw it end";
  if (end.code === 127) return "a command was not found (exit 127)";
  if (end.code === 126) return "a command may not be run (exit 126)";
  return end.code === 0 ? "some of its processes could not be ended" : `exit ${end.code}`;
}
