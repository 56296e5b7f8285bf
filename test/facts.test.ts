import { afterEach, beforeEach, expect, it } from "vitest";
import { createReportHandlers } from "../src/cells/reports/reports.ts";
import { LazarusError } from "../src/errors.ts";
import { tellingFacts } from "../src/facts.ts";
import { failures } from "../src/failures.ts";
import type { JobKind, JobPayload } from "../src/protocol/jobs.ts";
import { createLocalQueue } from "../src/queue/local.ts";
import type { Handlers } from "../src/queue/queue.ts";
import { type ControlRig, createControl, ended, harvest, ID, started, TIP } from "./fakes/control-rig.ts";

let rig: ControlRig;
let lines: (Record<string, unknown> & { level: string; message: string })[];
beforeEach(() => {
  rig = createControl();
  lines = [];
});
afterEach(() => rig.remove());

const at = (level: string) => (facts: object, message: string) =>
  void lines.push({ level, message, ...facts });
const log = { info: at("info"), warn: at("warn"), error: at("error"), debug: at("debug") };
const said = () => lines.map((line) => line.message);

/** Works one job off as the program does, on a job log that tells its failures. */
async function work<K extends JobKind>(kind: K, payload: JobPayload<K>, handlers: Handlers): Promise<void> {
  const queue = createLocalQueue({ db: rig.db, clock: rig.clock, log, random: () => 0.5 });
  const redact = (text: string) => text;
  queue.work(
    tellingFacts(handlers, { log, registry: rig.registry }),
    failures({ ...rig.deps, db: rig.db, redact, reach: { isAway: async () => false } }),
  );
  queue.put({ kind, key: crypto.randomUUID(), lane: "x", payload, maxAttempts: 2 });
  await rig.clock.advance(10 * 60_000);
  await queue.close(0);
}
const report = <K extends JobKind>(kind: K, payload: JobPayload<K>) =>
  work(
    kind,
    payload,
    createReportHandlers(rig.reports, () => {}),
  );

it("tells a cell's life, one line a fact", async () => {
  rig.create();
  rig.clearJobs();
  await report("run-started", started(ID, 1, rig.clock.now()));
  await report("run-ended", ended(ID, 1, rig.clock.now()));
  await report("collected", { cellId: ID, run: 1, harvest: harvest() });
  const pushed = { cellId: ID, run: 1, tip: TIP, branch: "lazarus/4f1c0b7e" };
  await report("pushed", { ...pushed, divertedFrom: null });
  await report("push-refused", { cellId: ID, run: 1, why: "it is protected" });
  const run = { level: "info", cell: ID, target: "acme/app#262", run: 1, agent: "allegro" };
  expect(lines).toEqual([
    { ...run, message: "run started" },
    { ...run, message: "run looked at", outcome: "done", why: "exit 0", commits: 2, files: 3 },
    { ...run, message: "branch pushed", branch: "lazarus/4f1c0b7e", tip: TIP },
    { ...run, level: "warn", message: "push refused", why: "it is protected" },
  ]);
});

it("tells of a run that could not be started, and of what was held back", async () => {
  rig.create();
  rig.clearJobs();
  await report("run-refused", { cellId: ID, run: 1, why: "no claude on its PATH" });
  expect(lines).toEqual([
    expect.objectContaining({
      level: "warn",
      message: "run could not be started",
      why: "no claude on its PATH",
    }),
  ]);
});

it("says each failure once, with whose it is, and when it is tried again", async () => {
  rig.idle();
  rig.clearJobs();
  const seal: JobPayload<"seal"> = {
    ...{ cellId: ID, repository: rig.cell().repository, baseCommit: "1".repeat(40), user: null },
    ...{ run: 0, agent: null, handle: null },
  };
  await work("seal", seal, {
    seal: () => Promise.reject(new LazarusError("disk-full", "sealing", { retryable: true })),
  });
  expect(said()).toEqual(["job failed and will be tried again", "job is dead"]);
  expect(lines[0]).toMatchObject({ level: "warn", kind: "seal", cell: ID, attempt: 1, why: "sealing" });
  expect(lines[0]?.retry_at).toMatch(/^2026-11-21T14:\d\d:\d\d\.\d{3}Z$/);
  expect(lines[1]).toMatchObject({ level: "error", kind: "seal", cell: ID, attempt: 2, why: "sealing" });
  expect(lines.flatMap((line) => Object.keys(line)).filter((key) => /[A-Z]/.test(key))).toEqual([]);
});
