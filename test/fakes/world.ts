import { isBeingSetUp } from "../../src/cells/cell.ts";
import { tick } from "../../src/cells/clock-jumps.ts";
import { lookAtTime } from "../../src/cells/expiry.ts";
import { LazarusError } from "../../src/errors.ts";
import { type ControlRig, ended, harvest, setupEnded, setupStarted, started } from "./control-rig.ts";

/** The cells there are, once somebody has asked for them. */
export const IDS = [1, 2, 3].map((n) => `${n}f1c0b7e-1111-4222-8333-444455556666`);
const DEV = { id: 3, login: "dev" };
const HOUR = 60 * 60_000;

interface Work {
  readonly id: string;
  readonly kind: string;
  readonly lane: string;
  readonly payload: string;
}

/**
 * People, time and a runner that fails now and then, in any order. `roll`: the next of the dice, 0 to 1. `say`:
 * what becomes of each sentence that a runner or a person says.
 */
export function createWorld(rig: ControlRig, roll: () => number, say = (sentence: string) => sentence) {
  const { lifecycle, steps, registry, clock, db } = rig;
  const pick = <T>(all: readonly T[]): T => all[Math.floor(roll() * all.length)] as T;
  let tips = 0;

  function collected(cellId: string, run: number): void {
    const tip =
      roll() < 0.6 ? (rig.cell(cellId).harvest?.tip ?? null) : (++tips).toString(16).padStart(40, "0");
    const question = roll() < 0.1 ? "which one?" : null;
    rig.report("collected", { cellId, run, harvest: harvest({ tip, question }) });
  }

  function perform(job: Work, isBad: boolean): unknown {
    const payload = JSON.parse(job.payload);
    const cellId: string = payload.cellId ?? payload.cell?.id;
    const { run } = payload;
    const stuck = () =>
      rig.reports.stuck({ cellId, kind: job.kind, run, why: say("disk full"), retryAt: null });
    switch (job.kind) {
      case "admit": {
        if (registry.mustRun(cellId, run).state !== "admitted") return;
        if (!isBad) return steps.start(cellId, run);
        const why = { who: "lazarus", why: say("not started"), outcome: "declined" } as const;
        return lifecycle.withdraw(rig.cell(cellId), registry.mustRun(cellId, run), why);
      }
      case "take-in": {
        if (isBad) return stuck();
        const isTaken = roll() < 0.5;
        const people = {
          ...{ branch: payload.branch, from: payload.tip, tip: (++tips).toString(16).padStart(40, "0") },
          ...{ commits: [], count: 1, isTaken, why: isTaken ? null : say("diverged") },
        };
        return rig.report("taken-in", { cellId, run, people: roll() < 0.5 ? null : people });
      }
      case "start": {
        if (isBad) return rig.report("run-refused", { cellId, run, why: say("no") });
        if (!payload.isSetUp && payload.setUpWith === null && roll() < 0.4)
          return rig.report("setup-started", setupStarted(cellId, run, clock.now()));
        return rig.report("run-started", started(cellId, run, clock.now()));
      }
      case "stop":
        return rig.report("run-ended", {
          ...ended(cellId, run, clock.now()),
          began: roll() < 0.5,
          stopped: say(payload.why),
        });
      case "collect":
        return isBad ? stuck() : collected(cellId, run);
      case "publish":
        return steps.push(payload);
      case "push":
        return isBad
          ? rig.report("push-refused", { ...payload, why: say("protected") })
          : rig.report("pushed", { ...payload, divertedFrom: null });
      case "draft":
        return rig.reports.drafted(cellId, 271, "acme/app");
      case "seal":
        return isBad ? stuck() : rig.report("sealed", { cellId, bytes: 1 });
      case "restore":
        return isBad
          ? rig.report("restore-refused", { cellId, run, why: say("damaged") })
          : rig.report("restored", { cellId, run });
      case "scrub":
        return rig.report("scrubbed", { cellId });
      default:
        return undefined;
    }
  }

  const end = (cellId: string, code: number) => {
    const run = registry.lastRun(cellId);
    if (run?.state === "running") rig.report("run-ended", ended(cellId, run.n, clock.now(), { code }));
    else if (run !== null && isBeingSetUp(run))
      rig.report("setup-ended", setupEnded(cellId, run.n, clock.now(), { code }));
  };

  const over = (cellId: string) => {
    const run = registry.lastRun(cellId);
    if (run?.state !== "running") return;
    const limit = pick(["time", "disk"] as const);
    rig.report("over-limit", { cellId, run: run.n, limit, why: say(`over its limit of ${limit}`) });
  };

  return {
    end,

    /** Works one job off, of any lane; false where none waits. */
    work(): boolean {
      const first = new Map<string, Work>();
      const waiting = db.sql
        .prepare("SELECT * FROM jobs WHERE state = 'waiting' ORDER BY urgent DESC, seq")
        .all();
      for (const job of waiting as Work[]) if (!first.has(job.lane)) first.set(job.lane, job);
      if (first.size === 0) return false;
      const job = pick([...first.values()]);
      const isBad = roll() < 0.15;
      const state = isBad && ["collect", "seal"].includes(job.kind) ? "dead" : "done";
      db.transaction(() => {
        db.sql.prepare("UPDATE jobs SET state = ?, ended_at = 0 WHERE id = ?").run(state, job.id);
        perform(job, isBad);
      });
      return true;
    },

    person(): void {
      const cellId = pick(IDS);
      const cell = registry.cell(cellId);
      const what = pick([
        "revive",
        "revive",
        "stop",
        "close",
        "merge",
        "destroy",
        "extend",
        "end",
        "end",
        "crash",
        "crash",
        "over",
      ]);
      const closing = { by: "owner", discard: roll() < 0.2, thenDestroy: false, person: null };
      if (cell === null) return void rig.create({ id: cellId, branch: `lazarus/${cellId.slice(0, 8)}` });
      const isOpen = cell.state === "active" || cell.state === "idle";
      const isSealed = cell.state === "archived" && cell.sealedAt !== null && cell.closing === null;
      try {
        if (what === "end" || what === "crash") end(cellId, what === "end" ? 0 : 3);
        else if (what === "over") over(cellId);
        else if (what === "revive" && (cell.state === "idle" || isSealed)) lifecycle.rerun(cell, "ezra", DEV);
        else if (what === "stop") lifecycle.stop(cell, "dev");
        else if (what === "close" && isOpen)
          lifecycle.close(cell, { ...closing, outcome: null }, say("closed"));
        else if (what === "merge" && isOpen)
          lifecycle.close(cell, { ...closing, outcome: "merged" }, say("merged"));
        else if (what === "destroy" && cell.state !== "destroyed" && roll() < 0.3)
          lifecycle.destroy(cell, "owner");
        else if (what === "extend" && (isOpen || cell.state === "proposed"))
          rig.deps.goingOn.extend(cell, { expiresAt: cell.expiresAt + HOUR, costUsd: 0, tokens: 0 }, "owner");
      } catch (error) {
        // The cell moved on: the command would look again.
        if (!(error instanceof LazarusError) || !error.retryable) throw error;
      }
    },

    async time(ms = pick([1_000, 30_000, 120_000, 600_000, HOUR])): Promise<void> {
      if (roll() < 0.1) clock.jump(pick([-2 * HOUR, 3 * HOUR, -30 * HOUR]));
      if (roll() < 0.03) clock.reboot();
      await clock.advance(ms);
      tick(rig.deps);
      steps.admitDue();
      lookAtTime(rig.deps);
    },
  };
}
