import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalQueue } from "../../src/queue/local.ts";
import type { LocalQueueOptions } from "../../src/queue/local-options.ts";
import { asParameters, NEXT } from "../../src/queue/next-job.ts";
import type { NewJob, Queue } from "../../src/queue/queue.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { queueContract } from "../contracts/queue.contract.ts";
import { createFakeClock, type FakeClock } from "../fakes/clock.ts";
import { until } from "../fakes/until.ts";

const silent = { info() {}, warn() {}, error() {} };

queueContract("the local queue", ({ db, clock }) => createLocalQueue({ db, clock, log: silent }));

describe("the local queue", () => {
  let dir: string;
  let db: Db;
  let clock: FakeClock;
  let queue: Queue;
  const open = (options: Partial<LocalQueueOptions> = {}) => {
    queue = createLocalQueue({ db, clock, log: silent, ...options });
    return queue;
  };
  const admit = (run: number, more: Partial<NewJob<"admit">> = {}): NewJob<"admit"> => ({
    kind: "admit",
    key: `admit:${run}`,
    lane: `cell:${run}`,
    payload: { cellId: "1", run },
    ...more,
  });

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "lazarus-local-"));
    db = openDb(join(dir, "registry.db"));
    clock = createFakeClock();
  });
  afterEach(async () => {
    const closing = queue.close(0);
    await clock.advance(1);
    await closing;
    db.close();
    rmSync(dir, { recursive: true });
  });

  it("runs as many handlers of a queue at once as it is told", async () => {
    let now = 0;
    let most = 0;
    open({ concurrency: { events: 3 } });
    for (let run = 1; run <= 10; run++) queue.put(admit(run));
    queue.work({
      admit: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return undefined;
      },
    });
    await queue.idle();
    expect(most).toBe(3);
    expect(queue.stats()).toMatchObject({ done: 10 });
  });

  it("extends the lease of a handler that takes its time, and tells it when the lease is lost", async () => {
    let signal: AbortSignal | undefined;
    let end = () => {};
    open({ leaseMs: 3_000 });
    queue.put(admit(1));
    queue.work({
      admit: async (_job, context) => {
        signal = context.signal;
        await new Promise<void>((resolve) => {
          end = resolve;
        });
        return undefined;
      },
    });
    await clock.advance(10_000);
    const until = db.sql.prepare("SELECT lease_until FROM jobs").pluck().get();
    expect(Number(until)).toBeGreaterThan(clock.now() + 1_000);
    expect(signal?.aborted).toBe(false);
    db.sql.exec("UPDATE jobs SET lease = 'of another'");
    await clock.advance(1_000);
    expect(signal?.aborted).toBe(true);
    end();
    await queue.idle();
    expect(queue.stats()).toMatchObject({ running: 1, done: 0 });
  });

  it("keeps errors redacted and short", async () => {
    open({ redact: (text) => text.replaceAll("hunter22", "***") });
    queue.put(admit(1));
    queue.work({
      admit: async () => {
        throw new Error(`token hunter22 was refused ${"x".repeat(5_000)}`);
      },
    });
    await queue.idle();
    const error = queue.list()[0]?.error ?? "";
    expect(error).toMatch(/^token \*\*\* was refused x+$/);
    expect(error).toHaveLength(2_000);
  });

  // Each look at the clock takes 10 ms here: some of these fall due between two of them.
  it.each([5, 15, 25, 35, 45])("starts what is due in %i ms, also while it looks for work", async (ms) => {
    const { now } = clock;
    open({
      clock: {
        ...clock,
        now: () => {
          clock.jump(10);
          return now();
        },
      },
    });
    queue.work({ admit: async () => undefined });
    await clock.advance(0);
    queue.put(admit(1, { notBefore: now() + ms }));
    await clock.advance(1_000);
    await until("it is done", () => queue.stats().done === 1);
  });

  it("leaves kinds nobody works here to whoever does", async () => {
    open();
    queue.put({ kind: "scrubbed", key: "s", lane: "l", payload: { cellId: "1" } });
    queue.put(admit(1));
    queue.work({ admit: async () => undefined });
    await queue.idle();
    expect(queue.stats()).toMatchObject({ done: 1, waiting: 1 });
    queue.work({ scrubbed: async () => undefined });
    await queue.idle();
    expect(queue.stats()).toMatchObject({ done: 2, waiting: 0 });
  });

  it("keeps a merged job to the sooner of both times", async () => {
    open();
    const merge = { tag: "t", fold: (_old: unknown, fresh: { cellId: string; run: number }) => fresh };
    const id = queue.put(admit(1, { merge, notBefore: clock.now() + 60_000 }));
    expect(queue.put(admit(2, { merge, notBefore: clock.now() + 5_000 }))).toBe(id);
    queue.work({ admit: async () => undefined });
    await clock.advance(4_000);
    expect(queue.stats()).toMatchObject({ waiting: 1 });
    await clock.advance(1_500);
    await queue.idle();
    expect(queue.stats()).toMatchObject({ done: 1 });
  });

  it("writes a failure down once the registry can be written again", async () => {
    open();
    const id = queue.put(admit(1));
    queue.work({
      admit: async () => {
        db.sql.pragma("query_only = ON");
        throw new Error("first this");
      },
    });
    await clock.advance(3_000);
    expect(queue.list()[0]?.state).toBe("running");
    db.sql.pragma("query_only = OFF");
    await clock.advance(1_000);
    expect(queue.list()[0]).toMatchObject({ id, state: "waiting", error: "first this" });
  });

  it("goes on looking for work after the registry could not be written", async () => {
    open();
    queue.work({ admit: async () => undefined });
    queue.put(admit(1));
    db.sql.pragma("query_only = ON");
    await clock.advance(500);
    expect(queue.stats()).toMatchObject({ waiting: 1 });
    db.sql.pragma("query_only = OFF");
    await clock.advance(1_000);
    await until("it is done", () => queue.stats().done === 1);
  });

  it("asks the indexes, not the rows, for what may start next", () => {
    open();
    const plan = (sql: string, values: object = {}) =>
      db.sql.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[];
    const search = { queue: "events" as const, now: 0, busyLanes: [], skip: [], isAlone: true };
    const next = plan(`SELECT id ${NEXT}`, asParameters(search)).map((step) => step.detail);
    expect(next[0]).toMatch(/jobs_next \(queue=\?\)$/);
    expect(next.join()).not.toContain("B-TREE");
    const like = plan(
      "SELECT id FROM jobs WHERE merge_tag = 'x' AND kind = 'k' AND state = 'waiting' ORDER BY seq",
    );
    expect(like.map((step) => step.detail).join()).toMatch(/jobs_merge \(merge_tag=\?\)$/);
  });
});
