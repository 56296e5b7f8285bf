import type { JobPayload } from "../../protocol/jobs.ts";
import type { Cell } from "../cell.ts";
import { classify } from "../exit.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { outcomeOf, wantsDraft } from "../steps/decide.ts";
import { createAfterExit } from "./after-exit.ts";
import type { ReportedDeps } from "./deps.ts";

/** What follows from what runners report once no run lives in a cell: collected, pushed, sealed, scrubbed. */
export function createWorkReports(deps: ReportedDeps) {
  const { registry, steps, clock, uids, config, announce } = deps;
  const afterExit = createAfterExit(deps);
  return {
    onCollected(report: JobPayload<"collected">): void {
      const run = registry.mustRun(report.cellId, report.run);
      const cell = registry.mustCell(report.cellId);
      const { state } = cell;
      if (run.state !== "ended" || run.collectedAt !== null || state === "archived" || state === "destroyed")
        return;
      const { harvest } = report;
      const exit = classify({
        run,
        preset: config.agents.get(run.agent)?.preset ?? null,
        harvest,
        isNew:
          harvest.tip === null
            ? harvest.changed
            : harvest.tip !== cell.harvest?.tip && harvest.tip !== cell.peopleTip,
      });
      registry.updateRun(report.cellId, report.run, {
        collectedAt: clock.now(),
        exitClass: exit.class,
        exitWhy: exit.why,
        exitSays: exit.says,
        resetsAt: exit.resetsAt,
      });
      registry.update(report.cellId, {
        harvest,
        outcome: outcomeOf(exit.class, harvest),
        ...NOTHING_IN_THE_WAY,
        pushRefused: null,
      });
      // Where somebody has asked for the next run already, or closes the cell, that is what follows.
      const isLast = registry.lastRun(cell.id)?.n === run.n;
      if (isLast && state === "idle" && cell.closing === null) afterExit.follow(cell, run, { exit, harvest });
      steps.advance(report.cellId);
      steps.card(report.cellId);
    },

    onPushed(report: JobPayload<"pushed">): void {
      const cell = registry.mustCell(report.cellId);
      if (cell.state === "destroyed") return;
      registry.update(cell.id, {
        publishedTip: report.tip,
        publishedBranch: report.branch,
        pushRefused: null,
        ...NOTHING_IN_THE_WAY,
        divertedFrom: report.divertedFrom,
      });
      // A branch that people moved is left to them: what was made meanwhile goes beside it, as a draft of its own.
      if (report.divertedFrom !== null && cell.publishedBranch !== report.branch)
        registry.update(cell.id, { pullRequest: null, pullRequestRepository: null });
      steps.advance(cell.id);
      if (cell.pullRequest !== null && wantsDraft(registry.mustCell(cell.id)))
        steps.putDraft(cell.id, `update:${report.tip}`);
      steps.card(cell.id);
    },

    onPushRefused(report: JobPayload<"push-refused">): void {
      const cell = registry.mustCell(report.cellId);
      if (cell.state === "archived" || cell.state === "destroyed") return;
      registry.update(report.cellId, { ...NOTHING_IN_THE_WAY, pushRefused: report.why });
      steps.advance(report.cellId);
      steps.card(report.cellId);
    },

    onDrafted(cellId: string, pullRequest: number, repository: string): void {
      if (registry.mustCell(cellId).state === "destroyed") return;
      registry.update(cellId, { pullRequest, pullRequestRepository: repository, stuck: null });
      steps.advance(cellId);
      steps.card(cellId);
    },

    onSealed(report: JobPayload<"sealed">): void {
      const cell = registry.mustCell(report.cellId);
      if (cell.state !== "closing" || cell.closing?.thenDestroy) return;
      const by = cell.closing?.by ?? "lazarus";
      const outcome = cell.closing?.outcome ?? (cell.closing?.discard ? "discarded" : cell.outcome);
      registry.update(cell.id, {
        sealedAt: clock.now(),
        outcome,
        closing: null,
        ...NOTHING_IN_THE_WAY,
      });
      registry.move(cell.id, {
        from: "closing",
        to: "archived",
        who: by,
        why: sealedWords(cell),
      });
      steps.keep(cell.id);
      steps.putPrune(cell.id);
      steps.unpublish(registry.mustCell(cell.id), "sealed");
      steps.card(cell.id);
      announce({
        kind: "closed",
        cell: registry.mustCell(cell.id),
        by,
        person: cell.closing?.person ?? null,
      });
    },

    onScrubbed(report: JobPayload<"scrubbed">): void {
      const cell = registry.mustCell(report.cellId);
      // No file and no process of it is left, also where it was never made.
      uids.release(cell.id);
      const closing = cell.closing;
      if (!closing?.thenDestroy || cell.state === "destroyed") return;
      const run = registry.lastRun(cell.id);
      if (run?.state === "running" || run?.state === "admitted") {
        registry.updateRun(cell.id, run.n, {
          state: "ended",
          endedAt: clock.now(),
          stopped: `destroyed by ${closing.by}`,
          stopCause: "destroyed",
        });
      }
      if (cell.state === "active" || cell.state === "idle") {
        const why = `destroyed by force by ${closing.by}`;
        registry.move(cell.id, { from: cell.state, to: "closing", who: closing.by, why });
      }
      if (cell.state !== "archived") {
        registry.move(cell.id, {
          from: cell.state === "proposed" ? "proposed" : "closing",
          to: "archived",
          who: closing.by,
          why: "discarded by force, not sealed",
        });
        registry.update(cell.id, { outcome: "discarded" });
        if (cell.state === "proposed")
          announce({ kind: "never-began", cell, why: "discarded by force", isNews: false });
      }
      registry.move(cell.id, {
        from: "archived",
        to: "destroyed",
        who: closing.by,
        why: closing.by === "lazarus" ? "its retention passed: scrubbed from disk" : "scrubbed from disk",
      });
      registry.update(cell.id, {
        ...NOTHING_IN_THE_WAY,
        ...{ closing: null, health: null, harvest: null, directoryTrouble: null },
      });
      steps.card(cell.id);
      steps.admitWaiting();
    },
  };
}

function sealedWords({ closing, publishedTip }: Cell): string {
  if (closing?.outcome === "merged") return "merged and sealed";
  if (closing?.outcome === "rejected") return "sealed, not merged";
  return closing?.discard || publishedTip === null ? "sealed, not published" : "published and sealed";
}
