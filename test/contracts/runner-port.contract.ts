import { existsSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { AnyReport } from "../../src/protocol/reports.ts";
import type { RunnerJob, RunnerPort } from "../../src/protocol/runner-port.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { BRIEF, createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";
import type { Needs } from "../machine.ts";

const STAYS = "while [ ! -e go ]; do sleep 0.05; done; exit 7";

/**
 * What every RunnerPort keeps, wherever its runner lies. `portOf` puts one before the rig's runner. `isHere`: agents
 * of the runner are heard by control's own server; else on their own host.
 */
export function runnerPortContract(
  name: string,
  portOf: (rig: RunnerRig) => RunnerPort | Promise<RunnerPort>,
  { isHere, wants = {} }: { readonly isHere: boolean; readonly wants?: Partial<Needs> },
): void {
  describe(name, wants, () => {
    let rig: RunnerRig;
    let port: RunnerPort;
    let cell: CellSpec;
    beforeAll(async () => {
      rig = await createRunnerRig();
      await rig.commit("main", { "a.txt": "a\n" });
    });
    beforeEach(async () => {
      rig.restart();
      rig.reports.length = 0;
      rig.agent(STAYS);
      port = await portOf(rig);
      cell = rig.spec(await rig.commit("main", { "a.txt": `${Date.now()}\n` }));
    });
    afterAll(() => rig.remove());

    const never = () => new AbortController().signal;
    const startJob = (more: Partial<RunnerJob<"start">> = {}): RunnerJob<"start"> => ({
      ...{ id: "row", kind: "start", key: `${cell.id}:1:start`, attempt: 1 },
      payload: { cell, run: 1, agent: "allegro", role: "executor", prompt: BRIEF },
      ...more,
    });
    const start = async () => (await port.do(startJob(), never())).reports;
    const go = () => writeFileSync(rig.cellPath(cell, "worktree", "go"), "");
    const stop = (key: string) => {
      const payload = { cellId: cell.id, run: 1, user: cell.user, handle: null, why: "enough" };
      return port.do({ id: key, kind: "stop", key, attempt: 1, payload }, never());
    };
    const ends = () => rig.said("run-ended").filter((one) => one.cellId === cell.id);
    const watch = (reports: readonly AnyReport[]) => {
      for (const { kind, payload } of reports) {
        if (kind !== "run-started") continue;
        const { handle, startedAt } = payload;
        const run = { cellId: cell.id, run: 1, agent: "allegro", handle, startedAt, before: null };
        port.adopt({ runs: [run], setups: [], checks: [] });
      }
    };

    it("answers what came of a job as data, and a job that is done again with the same reports", async () => {
      const [first, again] = [await start(), await start()];
      expect(structuredClone(first)).toEqual(first);
      expect(first.map((one) => one.kind)).toEqual(["run-started"]);
      expect(again.map((one) => one.key)).toEqual(first.map((one) => one.key));
      const pids = [first, again].map(([report]) =>
        report?.kind === "run-started" ? report.payload.handle.pid : null,
      );
      expect(pids).toEqual([expect.any(Number), pids[0]]);
      await stop("stop");
    });

    it("says nothing by itself before it is told to watch, and then the end of a run", async () => {
      const reports = await start();
      go();
      await until("it ended", () => existsSync(rig.cellPath(cell, "state", "exit.json")));
      expect(ends()).toEqual([]);
      watch(reports);
      watch(reports);
      await until("its end is said", () => ends().length > 0);
      expect(ends()).toMatchObject([{ code: 7, stopped: null }]);
    });

    it("shares nothing that either side could change under the other", async () => {
      const job = startJob();
      const { reports } = await port.do(job, never());
      const [report] = reports;
      Object.assign(report?.payload ?? {}, { run: 99 });
      Object.assign(job.payload, { agent: "somebody else" });
      const [again] = await start();
      expect(again?.payload).toMatchObject({ run: 1 });
      const { reports: stopped } = await stop("stop");
      expect(stopped.map((one) => one.payload)).toMatchObject([{ began: true, stopped: "enough" }]);
    });

    it("rejects with the reason of the signal, and leaves nothing half made", async () => {
      const abort = new AbortController();
      abort.abort(new Error("the row was ended"));
      await expect(port.do(startJob(), abort.signal)).rejects.toThrow("the row was ended");
      expect(existsSync(rig.cellPath(cell))).toBe(false);
    });

    it("refuses a kind of job that it does not know, and says what to do", async () => {
      const job = { ...startJob(), kind: "brew" } as unknown as RunnerJob;
      await expect(port.do(job, never())).rejects.toThrow(/does not know jobs of the kind brew: upgrade it/);
    });

    it("hears agents at work here, and nobody else", async () => {
      const words = { state: "testing", message: null, progress: null };
      expect(await port.hear(cell.id, words)).toBe(false);
      watch(await start());
      expect(await port.hear(cell.id, words)).toBe(isHere);
      await stop("stop");
      expect(await port.hear(cell.id, words)).toBe(false);
    });

    it("reads the end of a log, and none where there is none", async () => {
      rig.agent("echo it works");
      await rig.commit("main", { "a.txt": "b\n" });
      watch(await start());
      await until("it ended", () => existsSync(rig.cellPath(cell, "state", "exit.json")));
      expect(await port.readLog(cell.id, "allegro-1.log", { maxBytes: 1_000, secrets: [] })).toMatchObject({
        text: "it works\n",
        cut: false,
      });
      expect(await port.readLog(cell.id, "allegro-2.log", { maxBytes: 1_000, secrets: [] })).toEqual({
        text: "",
        cut: false,
      });
    });

    it("tells what lies on its disk, and that it cannot look", async () => {
      await start();
      const seen = await port.inventory({ isExpected: true });
      expect([seen.root, seen.there.has(cell.id)]).toEqual([rig.missions, true]);
      await stop("stop");
      const nowhere = { ...rig.deps.config, missionsDir: `${rig.missions}-gone` };
      rig.restart({ config: nowhere });
      const other = await portOf(rig);
      await expect(other.inventory({ isExpected: true })).rejects.toThrow(/it is missing/);
      expect((await other.inventory({ isExpected: false })).there.size).toBe(0);
    });

    it("watches nothing any more once it is closed; the agent goes on", async () => {
      watch(await start());
      await port.close();
      go();
      await until("it ended", () => existsSync(rig.cellPath(cell, "state", "exit.json")));
      expect(ends()).toEqual([]);
    });
  });
}
