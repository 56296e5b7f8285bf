import type { JobPayload } from "../../protocol/jobs.ts";
import type { PeoplePush } from "../../protocol/shapes.ts";
import { type Cell, isBeingSetUp, type Run } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import type { CellChange } from "../registry/cell-row.ts";
import { rememberRevival } from "../registry/revival.ts";
import { createAfterExit } from "./after-exit.ts";
import type { ReportedDeps } from "./deps.ts";
import { createSetupReports, cutShort } from "./setup-reports.ts";

/** What follows from what runners report of a run: it started, was refused, ended, went over a limit. */
export function createRunReports(deps: ReportedDeps) {
  const { registry, steps, clock, config, announce } = deps;
  const afterExit = createAfterExit(deps);
  /** A run has begun in it. One that came back from its archive lives as long as a new one. */
  const wake = (cell: Cell, run: Run, why = workingOn(run)): void => {
    if (cell.state === "archived") {
      const expiresAt = clock.now() + config.limits.ttlMs;
      registry.update(cell.id, { expiresAt, ttlWarnedFor: null, keepUntil: null });
      rememberRevival(cell, registry);
    }
    registry.move(cell.id, {
      from: cell.state,
      to: "active",
      who: run.isAutomatic ? "lazarus" : run.requester.login,
      why,
    });
    if (cell.state === "proposed") announce({ kind: "begun", cell });
  };
  const neverBegan = (cellId: string, why: string, isNews: boolean): void => {
    announce({ kind: "never-began", cell: registry.mustCell(cellId), why, isNews });
  };
  const rest = (cell: Cell, step: { who: string; why: string }): void => {
    registry.move(cell.id, { from: "active", to: "idle", ...step });
    steps.mark(cell.id);
  };
  return {
    onRunStarted(report: JobPayload<"run-started">): void {
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (run.state !== "admitted") return;
      registry.updateRun(cell.id, run.n, {
        state: "running",
        startedAt: report.startedAt,
        handle: report.handle,
        logPath: report.logPath,
      });
      if (report.prompt !== null) registry.prompts.given(run, report.prompt);
      // One that is being scrubbed comes to life no more: its process is ended there.
      const canWake = ["proposed", "idle", "archived"].includes(cell.state);
      if (canWake && !cell.closing?.thenDestroy) {
        registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: "healthy" });
        wake(cell, run);
        steps.mark(cell.id);
      } else if (cell.state === "active") {
        // It was set up for this very run, and has been active since.
        registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: "healthy" });
        const what = { who: run.requester.login, why: workingOn(run) };
        registry.remember(cell.id, { at: clock.now(), from: "active", to: "active", ...what });
        steps.mark(cell.id);
      }
      steps.advance(cell.id);
      steps.card(cell.id);
    },

    ...createSetupReports({ ...deps, wake, rest }),

    onRunRefused(report: JobPayload<"run-refused">): void {
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (run.state !== "admitted") return;
      registry.updateRun(cell.id, run.n, {
        state: "ended",
        endedAt: clock.now(),
        stopped: report.why,
        stopCause: "refused",
      });
      registry.update(cell.id, {
        ...NOTHING_IN_THE_WAY,
        notStarted: report.why,
        ...(cell.state === "archived" ? {} : { outcome: "failed" }),
      });
      if (cell.state === "archived") steps.putAway(run);
      if (cell.state === "proposed") {
        registry.move(cell.id, { from: "proposed", to: "archived", who: "lazarus", why: report.why });
        steps.keep(cell.id);
        steps.sweepDirectory(cell);
        neverBegan(cell.id, report.why, true);
      }
      if (cell.state === "active") rest(cell, { who: "lazarus", why: report.why });
      if (run.isAutomatic && cell.state === "idle") afterExit.refused(cell.id, run, report.why);
      steps.card(cell.id);
      steps.advance(cell.id);
      steps.admitWaiting();
    },

    onRunEnded(report: JobPayload<"run-ended">): void {
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (run.state !== "running" && run.state !== "admitted") return;
      const leftovers = report.leftovers.map((one) => `${one.pid} ${one.command}`);
      registry.updateRun(cell.id, run.n, {
        state: "ended",
        ...(report.began && run.startedAt === null ? { startedAt: run.createdAt } : {}),
        endedAt: report.endedAt,
        code: report.code,
        signal: report.signal,
        stopped: report.stopped,
        ...(report.stopped === null ? { stopCause: null } : {}),
        leftovers,
        refusedHosts: report.refusedHosts,
        ...(isBeingSetUp(run) && run.setup !== null ? { setup: cutShort(run.setup, report) } : {}),
      });
      registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: null });
      const isArchived = cell.state === "archived" && !cell.closing?.thenDestroy;
      // It began, but was ended before anybody reported that: what it did meanwhile counts all the same.
      if (
        report.began &&
        (cell.state === "proposed" || ((cell.state === "idle" || isArchived) && run.state === "admitted"))
      )
        wake(cell, run);
      else if (isArchived) steps.putAway(run);
      if (registry.mustCell(cell.id).state === "active") {
        rest(cell, { who: run.agent, why: endOf(report) });
      }
      if (registry.mustCell(cell.id).state === "proposed") {
        registry.update(cell.id, { outcome: "discarded", notStarted: report.stopped });
        registry.move(cell.id, {
          from: "proposed",
          to: "archived",
          who: run.requester.login,
          why: endOf(report),
        });
        steps.keep(cell.id);
        steps.sweepDirectory(cell);
        neverBegan(cell.id, endOf(report), false);
      }
      steps.advance(cell.id);
      steps.card(cell.id);
      steps.admitWaiting();
    },

    onRestored(report: JobPayload<"restored">): void {
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (cell.state !== "archived" || cell.closing?.thenDestroy) return;
      registry.update(cell.id, { setUpWith: null });
      if (run.state === "admitted") steps.startRestored(registry.mustCell(cell.id), run);
      else steps.putAway(run);
    },

    /** What people pushed is theirs from now on: the next push goes on top of it. */
    onTakenIn(report: JobPayload<"taken-in">): void {
      const { people } = report;
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (cell.state === "destroyed" || cell.closing?.thenDestroy) return;
      if (people !== null) registry.updateRun(cell.id, run.n, { people });
      if (people?.isTaken) registry.update(cell.id, onTopOf(cell, people));
      if (run.state === "admitted")
        steps.startNow(registry.mustCell(cell.id), registry.mustRun(cell.id, run.n));
      else if (cell.state === "archived") steps.putAway(run);
    },

    /** The archive is damaged, or the forge no longer has what the cell borrows: it stays as it is, and the run with it. */
    onRestoreRefused(report: JobPayload<"restore-refused">): void {
      const cell = registry.mustCell(report.cellId);
      const run = registry.mustRun(report.cellId, report.run);
      if (run.state !== "admitted") return;
      const why = `not brought back: ${report.why}`;
      registry.updateRun(cell.id, run.n, {
        ...{ state: "withdrawn", endedAt: clock.now() },
        ...{ stopped: why, stopCause: "refused" },
      });
      registry.update(cell.id, { ...NOTHING_IN_THE_WAY, notStarted: why });
      steps.card(cell.id);
      steps.admitWaiting();
    },

    onOverLimit(report: JobPayload<"over-limit">): void {
      const run = registry.mustRun(report.cellId, report.run);
      const stop = { cause: "over-limit", why: report.why } as const;
      if (run.state === "running") steps.putStop(registry.mustCell(report.cellId), run, stop);
    },

    onLogCut(report: JobPayload<"log-cut">): void {
      if (registry.mustRun(report.cellId, report.run).state !== "running") return;
      registry.update(report.cellId, { logCut: { run: report.run, bytes: report.bytes } });
      steps.card(report.cellId);
    },
  };
}

function endOf(report: Pick<JobPayload<"run-ended">, "code" | "signal" | "stopped">): string {
  if (report.stopped !== null) return report.stopped;
  if (report.signal !== null) return `ended by signal ${report.signal}`;
  return report.code === null ? "gone without a trace" : `exit ${report.code}`;
}

function workingOn({ agent, people }: Run): string {
  if (people === null || !people.isTaken) return `working: ${agent}`;
  return `working: ${agent}, on top of ${people.count === 1 ? "a commit" : `${people.count} commits`} that people pushed`;
}

/** What people made of a cell's work stands where that work stood, also for what was let go of it. */
function onTopOf(cell: Cell, { branch, from, tip }: PeoplePush): CellChange {
  const { harvest, releasedTip } = cell;
  return {
    peopleTip: tip,
    publishedTip: tip,
    publishedBranch: branch,
    ...(harvest?.tip === from ? { harvest: { ...harvest, tip } } : {}),
    ...(releasedTip === from ? { releasedTip: tip } : {}),
  };
}
