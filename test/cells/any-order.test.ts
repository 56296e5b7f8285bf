import fc from "fast-check";
import { expect, it } from "vitest";
import { isBeingSetUp, type Run } from "../../src/cells/cell.ts";
import { tick } from "../../src/cells/clock-jumps.ts";
import { lookAtTime } from "../../src/cells/expiry.ts";
import { LazarusError } from "../../src/errors.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  setupEnded,
  setupStarted,
  started,
} from "../fakes/control-rig.ts";

const IDS = [1, 2, 3].map((n) => `${n}f1c0b7e-1111-4222-8333-444455556666`);
const DEV = { id: 3, login: "dev" };
const HOUR = 60 * 60_000;
const PLACES = 2;
const FULL = "disk full";

interface Work {
  readonly id: string;
  readonly kind: string;
  readonly lane: string;
  readonly payload: string;
}

/** People, time and a runner that fails now and then, in any order. */
function world(rig: ControlRig, roll: () => number) {
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
    const stuck = () => rig.reports.stuck({ cellId, kind: job.kind, run, why: FULL, retryAt: null });
    switch (job.kind) {
      case "admit": {
        if (registry.mustRun(cellId, run).state !== "admitted") return;
        if (!isBad) return steps.start(cellId, run);
        const why = { who: "lazarus", why: "not started", outcome: "declined" } as const;
        return lifecycle.withdraw(rig.cell(cellId), registry.mustRun(cellId, run), why);
      }
      case "take-in": {
        if (isBad) return stuck();
        const isTaken = roll() < 0.5;
        const people = {
          ...{ branch: payload.branch, from: payload.tip, tip: (++tips).toString(16).padStart(40, "0") },
          ...{ commits: [], count: 1, isTaken, why: isTaken ? null : "diverged" },
        };
        return rig.report("taken-in", { cellId, run, people: roll() < 0.5 ? null : people });
      }
      case "start": {
        if (isBad) return rig.report("run-refused", { cellId, run, why: "no" });
        if (!payload.isSetUp && payload.setUpWith === null && roll() < 0.4)
          return rig.report("setup-started", setupStarted(cellId, run, clock.now()));
        return rig.report("run-started", started(cellId, run, clock.now()));
      }
      case "stop":
        return rig.report("run-ended", {
          ...ended(cellId, run, clock.now()),
          began: roll() < 0.5,
          stopped: "stopped",
        });
      case "collect":
        return isBad ? stuck() : collected(cellId, run);
      case "publish":
        return steps.push(payload);
      case "push":
        return isBad
          ? rig.report("push-refused", { ...payload, why: "protected" })
          : rig.report("pushed", { ...payload, divertedFrom: null });
      case "draft":
        return rig.reports.drafted(cellId, 271, "acme/app");
      case "seal":
        return isBad ? stuck() : rig.report("sealed", { cellId, bytes: 1 });
      case "restore":
        return isBad
          ? rig.report("restore-refused", { cellId, run, why: "damaged" })
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
      ]);
      const closing = { by: "owner", discard: roll() < 0.2, thenDestroy: false, person: null };
      if (cell === null) return void rig.create({ id: cellId, branch: `lazarus/${cellId.slice(0, 8)}` });
      const isOpen = cell.state === "active" || cell.state === "idle";
      const isSealed = cell.state === "archived" && cell.sealedAt !== null && cell.closing === null;
      try {
        if (what === "end" || what === "crash") end(cellId, what === "end" ? 0 : 3);
        else if (what === "revive" && (cell.state === "idle" || isSealed)) lifecycle.rerun(cell, "ezra", DEV);
        else if (what === "stop") lifecycle.stop(cell, "dev");
        else if (what === "close" && isOpen) lifecycle.close(cell, { ...closing, outcome: null }, "closed");
        else if (what === "merge" && isOpen)
          lifecycle.close(cell, { ...closing, outcome: "merged" }, "merged");
        else if (what === "destroy" && cell.state !== "destroyed" && roll() < 0.3)
          lifecycle.destroy(cell, "owner");
        else if (what === "extend" && (isOpen || cell.state === "proposed"))
          lifecycle.extend(cell, cell.expiresAt + HOUR);
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

/** Its cell is being set up for it, or was just now. */
function isReady(run: Run | undefined): boolean {
  return run?.state === "admitted" && run.setup !== null;
}

/** What must hold at any moment. */
function faultsNow(rig: ControlRig): string[] {
  const { registry } = rig;
  const faults = IDS.flatMap((id) => {
    const cell = registry.cell(id);
    if (cell === null) return [];
    const runs = registry.runs(id);
    const open = runs.filter((run) => run.state !== "ended" && run.state !== "withdrawn");
    const state = open[0]?.state ?? "none";
    const isEnding = cell.state === "closing" || cell.closing !== null;
    const found: [boolean, string][] = [
      [open.length > 1, "two open runs"],
      [open.length === 1 && open[0]?.n !== runs.at(-1)?.n, "an open run that is not the last"],
      [cell.state === "destroyed" && open.length > 0, "a run of a destroyed cell"],
      [cell.state === "active" && state !== "running" && !isReady(open[0]), "active without a run"],
      [state === "running" && cell.state !== "active" && !isEnding, "a run in a cell that is not active"],
      [state === "waiting" && isEnding, "a run waits in a cell that closes"],
      [cell.state === "closing" && cell.closing === null, "closing for no reason"],
    ];
    return found.filter(([is]) => is).map(([, what]) => `${id}: ${what}`);
  });
  const busy = registry.openRuns(["admitted", "running"]).length;
  return busy > PLACES ? [...faults, `${busy} runs for ${PLACES} places`] : faults;
}

/** What must hold when nothing is left to be done. */
function faultsAtRest(rig: ControlRig): string[] {
  const { registry, clock } = rig;
  return IDS.flatMap((id) => {
    const cell = registry.cell(id);
    const last = registry.lastRun(id);
    if (cell === null || last === null) return [];
    const isRetry = last.state === "waiting" && (last.notBefore ?? 0) > clock.now();
    const isToBePublished = cell.harvest !== null && cell.harvest.tip !== cell.publishedTip;
    const isTold = cell.stuck !== null || cell.pushRefused !== null;
    const found: [boolean, string][] = [
      [last.state === "admitted" || last.state === "running", `its run is ${last.state} for ever`],
      [last.state === "waiting" && !isRetry, "its run waits for ever"],
      [cell.state === "closing" && !isTold, "closing for ever"],
      [cell.state === "idle" && !isRetry && isToBePublished && !isTold, "never published"],
    ];
    return found.filter(([is]) => is).map(([, what]) => `${id}: ${what}`);
  });
}

const million = () => fc.noBias(fc.nat(999_999));

it("whatever people, time and runners do, in any order, every cell comes to rest", async () => {
  // `gen` draws as the walk asks; a failure prints the seed and path that bring it back.
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (gen) => {
      const rig = createControl({ config: { limits: { cells: PLACES, ttl: "4h", keep: "30d" } } });
      try {
        const roll = () => gen(million) / 1_000_000;
        const { work, person, time, end } = world(rig, roll);
        for (let step = 0; step < 150; step++) {
          const what = roll();
          if (what < 0.3) person();
          else if (what < 0.4) await time();
          else work();
          expect(faultsNow(rig)).toEqual([]);
        }
        for (let minute = 0; minute < 40; minute++) {
          while (work()) expect(faultsNow(rig)).toEqual([]);
          for (const id of IDS) end(id, 0);
          await time(60_000);
        }
        while (work());
        expect(faultsAtRest(rig)).toEqual([]);
      } finally {
        rig.remove();
      }
    }),
    { numRuns: 6 },
  );
}, 120_000);
