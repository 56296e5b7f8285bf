import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/clock.ts";
import { LazarusError } from "../../src/errors.ts";
import { MOST_KILLS } from "../../src/queue/next-job.ts";
import type { Handler, Job, JobRow, NewJob, Queue } from "../../src/queue/queue.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { createFakeClock, type FakeClock } from "../fakes/clock.ts";
import { PROGRAMS } from "../fakes/programs.ts";
import { until } from "../fakes/until.ts";

export interface QueueMaking {
  readonly db: Db;
  readonly clock: Clock;
}
/**
 * Makes the queue under test on a registry; `close` of the queue must also end whatever it needs beside it.
 */
export type MakeQueue = (making: QueueMaking) => Queue;

type AdmitHandler = Handler<"admit">;

const HOUR_MS = 3_600_000;

/** A promise that is settled from outside. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** What `Queue` promises in prose, tried on one implementation. */
export function queueContract(name: string, make: MakeQueue): void {
  describe(`${name} keeps the queue's contract`, () => {
    let dir: string;
    let db: Db;
    let clock: FakeClock;
    let queue: Queue;
    let children: ChildProcess[];
    let started: string[];

    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), "lazarus-queue-"));
      clock = createFakeClock();
      children = [];
      started = [];
      db = openDb(join(dir, "registry.db"));
      queue = make({ db, clock });
    });
    afterEach(async () => {
      for (const child of children) child.kill("SIGKILL");
      const closing = queue.close(0);
      await clock.advance(1);
      await closing;
      db.close();
      rmSync(dir, { recursive: true });
    });

    /** An `events` job; its number tells it apart. */
    const admit = (run: number, more: Partial<NewJob<"admit">> = {}): NewJob<"admit"> => ({
      kind: "admit",
      key: `admit:${run}`,
      lane: "cell:1",
      payload: { cellId: "1", run },
      ...more,
    });
    const runs = () => started.join(" ");
    const noting: AdmitHandler = async (job) => {
      started.push(String(job.payload.run));
      return undefined;
    };
    const row = (id: string): JobRow | undefined => queue.list().find((one) => one.id === id);
    const putId = (job: NewJob<"admit">): string => {
      const id = queue.put(job);
      if (id === "duplicate") throw new Error("it should have been new");
      return id;
    };
    function spawnMode(mode: string): { readonly child: ChildProcess; said(): string } {
      const out = join(dir, `${mode}.out`);
      const child = spawn(
        process.execPath,
        [PROGRAMS.queueProcess.built, mode, join(dir, "registry.db"), out],
        { stdio: "inherit" },
      );
      children.push(child);
      return { child, said: () => (existsSync(out) ? readFileSync(out, "utf8") : "") };
    }
    async function killed(child: ChildProcess): Promise<void> {
      const exit = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await exit;
    }

    describe("put", () => {
      it("says a key once for ever, also after the row was pruned", async () => {
        const id = putId(admit(1));
        expect(queue.put(admit(1))).toBe("duplicate");
        queue.work({ admit: noting });
        await queue.idle();
        expect(queue.put(admit(1))).toBe("duplicate");
        expect(queue.prune(clock.now() + 1)).toBe(1);
        expect(row(id)).toBeUndefined();
        expect(queue.put(admit(1))).toBe("duplicate");
        await queue.idle();
        expect(runs()).toBe("1");
      });

      it("rolls back with the transaction around it, key and all", async () => {
        queue.work({ admit: noting });
        expect(() =>
          db.transaction(() => {
            queue.put(admit(1));
            throw new Error("the registry change failed");
          }),
        ).toThrow("the registry change failed");
        await queue.idle();
        expect(queue.list()).toEqual([]);
        expect(queue.put(admit(1))).not.toBe("duplicate");
        await queue.idle();
        expect(runs()).toBe("1");
      });

      it("refuses a payload that does not fit its kind, and says what is wrong", () => {
        const wrong = admit(1, { payload: { cellId: "1" } as never });
        expect(() => queue.put(wrong)).toThrow(/admit.*run/);
        expect(queue.put(admit(1))).not.toBe("duplicate");
      });

      it("folds into a waiting job of the same tag, and answers its id", async () => {
        const merge = {
          tag: "t",
          fold: (a: { run: number }, b: { run: number }) => ({ cellId: "1", run: a.run + b.run }),
        };
        const id = putId(admit(1, { merge }));
        expect(queue.put(admit(20, { merge }))).toBe(id);
        expect(queue.put(admit(20, { merge }))).toBe("duplicate");
        queue.work({ admit: noting });
        await queue.idle();
        expect(runs()).toBe("21");
      });

      it("does not fold into a running job", async () => {
        const merge = { tag: "t", fold: () => ({ cellId: "1", run: 99 }) };
        const first = gate();
        queue.work({
          admit: async (job) => {
            started.push(String(job.payload.run));
            await first.opened;
            return undefined;
          },
        });
        const id = putId(admit(1, { merge }));
        await until("the first runs", () => runs() === "1");
        expect(queue.put(admit(2, { merge }))).not.toBe(id);
        first.open();
        await queue.idle();
        expect(runs()).toBe("1 2");
      });
    });

    describe("lanes", () => {
      it("run one at a time in the order they were put, and beside each other", async () => {
        const gates = new Map([1, 2, 3, 4].map((run) => [run, gate()]));
        for (const run of [1, 2]) queue.put(admit(run, { lane: "cell:a" }));
        for (const run of [3, 4]) queue.put(admit(run, { lane: "cell:b" }));
        queue.work({
          admit: async (job) => {
            started.push(String(job.payload.run));
            await gates.get(job.payload.run)?.opened;
            return undefined;
          },
        });
        await until("both lanes run", () => started.length === 2);
        await clock.advance(0);
        expect(runs()).toBe("1 3");
        gates.get(3)?.open();
        await until("the second of lane b runs", () => started.length === 3);
        expect(runs()).toBe("1 3 4");
        for (const one of gates.values()) one.open();
        await queue.idle();
        expect(runs()).toBe("1 3 4 2");
      });

      it("are kept by a job that waits for its retry", async () => {
        queue.put(admit(1));
        queue.put(admit(2));
        queue.work({
          admit: async (job) => {
            started.push(`${job.payload.run}/${job.attempt}`);
            if (job.payload.run === 1 && job.attempt === 1) throw new Error("not yet");
            return undefined;
          },
        });
        await queue.idle();
        expect(runs()).toBe("1/1");
        await clock.advance(1_300);
        await queue.idle();
        expect(runs()).toBe("1/1 1/2 2/1");
      });

      it("let an urgent job go before what waits and what retries, never before what runs", async () => {
        const first = gate();
        queue.put(admit(1));
        queue.put(admit(2));
        queue.work({
          admit: async (job) => {
            started.push(`${job.payload.run}/${job.attempt}`);
            if (job.payload.run !== 1) return undefined;
            await first.opened;
            if (job.attempt === 1) throw new Error("not yet");
            return undefined;
          },
        });
        await until("the first runs", () => started.length === 1);
        queue.put(admit(3, { urgent: true }));
        await clock.advance(0);
        expect(runs()).toBe("1/1");
        first.open();
        await queue.idle();
        expect(runs()).toBe("1/1 3/1");
        await clock.advance(1_300);
        await queue.idle();
        expect(runs()).toBe("1/1 3/1 1/2 2/1");
      });

      it("are not kept by a job that is merely for later", async () => {
        queue.put(admit(1, { notBefore: clock.now() + HOUR_MS }));
        queue.put(admit(2));
        queue.work({ admit: noting });
        await queue.idle();
        expect(runs()).toBe("2");
        await clock.advance(HOUR_MS);
        await queue.idle();
        expect(runs()).toBe("2 1");
      });

      it("do not wait for a clock that was set back to come to where it was", async () => {
        queue.put(admit(1));
        queue.put(admit(2, { lane: "cell:2", notBefore: clock.now() + 5_000 }));
        queue.put(admit(3, { lane: "cell:3" }));
        clock.jump(-3 * HOUR_MS);
        queue.work({
          admit: async (job) => {
            started.push(`${job.payload.run}/${job.attempt}`);
            if (job.payload.run === 3 && job.attempt === 1) throw new Error("not yet");
            return undefined;
          },
        });
        await queue.idle();
        expect(runs()).toBe("1/1 2/1 3/1");
        clock.jump(-3 * HOUR_MS);
        queue.put(admit(4));
        await queue.idle();
        expect(runs()).toBe("1/1 2/1 3/1 3/2 4/1");
      });

      it("stay busy while a handler runs past its lease", async () => {
        const first = gate();
        queue.put(admit(1));
        queue.work({
          admit: async (job) => {
            started.push(String(job.payload.run));
            if (job.payload.run === 1) await first.opened;
            return undefined;
          },
        });
        await until("the first runs", () => started.length === 1);
        db.sql.exec("UPDATE jobs SET lease_until = 0");
        clock.jump(HOUR_MS);
        queue.put(admit(2));
        await clock.advance(1_000);
        expect(runs()).toBe("1");
        first.open();
        await queue.idle();
        expect(runs()).toBe("1 2");
        expect(queue.stats()).toMatchObject({ done: 2 });
      });
    });

    describe("finish", () => {
      it("makes its effects together with the job's end, or neither", async () => {
        db.sql.exec("CREATE TABLE effects (run INTEGER)");
        const effects = () => db.sql.prepare("SELECT count(*) FROM effects").pluck().get();
        const id = putId(admit(1));
        queue.work({
          admit: async (job) => () => {
            db.sql.exec("INSERT INTO effects VALUES (1)");
            queue.put(admit(100 + job.attempt, { lane: "cell:2", notBefore: clock.now() + HOUR_MS }));
            if (job.attempt === 1) throw new Error("the last effect failed");
          },
        });
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "waiting", attempt: 1, error: "the last effect failed" });
        expect(effects()).toBe(0);
        expect(queue.list()).toHaveLength(1);
        await clock.advance(1_300);
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "done", attempt: 2, error: null });
        expect(effects()).toBe(1);
        expect(queue.put(admit(101))).not.toBe("duplicate");
        expect(queue.put(admit(102))).toBe("duplicate");
      });

      it("changes nothing after the job was ended; the signal says so, the lane waits for the handler", async () => {
        const first = gate();
        const aborted = gate();
        let finished = 0;
        const id = putId(admit(1));
        queue.put(admit(2));
        queue.put(admit(3, { lane: "cell:other" }));
        queue.work({
          admit: async (job, context) => {
            started.push(String(job.payload.run));
            if (job.payload.run !== 1) return undefined;
            context.signal.addEventListener("abort", () => aborted.open());
            await first.opened;
            expect(() => context.note({ late: true })).toThrow(LazarusError);
            return () => {
              finished++;
            };
          },
        });
        await until("two run", () => started.length === 2);
        expect(queue.end({ lane: "cell:1", kinds: ["admit"] }, "stopped by dev")).toBe(2);
        await aborted.opened;
        queue.put(admit(4));
        await clock.advance(1_000);
        expect(runs()).toBe("1 3");
        first.open();
        await queue.idle();
        expect(finished).toBe(0);
        expect(runs()).toBe("1 3 4");
        expect(row(id)).toMatchObject({ state: "ended", error: "stopped by dev" });
        expect(queue.stats()).toEqual({ waiting: 0, running: 0, done: 2, dead: 0, ended: 2 });
      });

      it("lets a rolled back end abort nothing", async () => {
        const first = gate();
        let signal: AbortSignal | undefined;
        const id = putId(admit(1));
        queue.work({
          admit: async (_job, context) => {
            signal = context.signal;
            await first.opened;
            return undefined;
          },
        });
        await until("it runs", () => signal !== undefined);
        expect(() =>
          db.transaction(() => {
            queue.end({ lane: "cell:1", kinds: ["admit"] }, "stopped");
            throw new Error("no");
          }),
        ).toThrow("no");
        first.open();
        await queue.idle();
        expect(signal?.aborted).toBe(false);
        expect(row(id)?.state).toBe("done");
      });
    });

    describe("failure", () => {
      it("keeps a dead job visible, frees its lane, and lets it be retried or dropped", async () => {
        let fails = true;
        const id = putId(admit(1, { maxAttempts: 2 }));
        queue.put(admit(2));
        queue.work({
          admit: async (job) => {
            started.push(`${job.payload.run}/${job.attempt}`);
            if (job.payload.run === 1 && fails) throw new Error("the disk is full");
            return undefined;
          },
        });
        await queue.idle();
        await clock.advance(1_300);
        await queue.idle();
        expect(runs()).toBe("1/1 1/2 2/1");
        expect(queue.list({ states: ["dead"] })).toMatchObject([
          { id, attempt: 2, error: "the disk is full", endedAt: expect.any(Number) },
        ]);
        expect(queue.prune(clock.now() + HOUR_MS)).toBe(1);
        expect(queue.retry(id)).toBe(true);
        expect(queue.retry(id)).toBe(false);
        await queue.idle();
        await clock.advance(1_300);
        await queue.idle();
        expect(row(id)?.state).toBe("dead");
        expect(queue.drop(id)).toBe(true);
        expect(queue.drop(id)).toBe(false);
        expect(row(id)?.state).toBe("ended");
        fails = false;
        expect(queue.retry(id)).toBe(false);
      });

      it("tries three times what nobody foresaw, and as often as asked what has a code", async () => {
        const bug = putId(admit(1, { maxAttempts: 60 }));
        const full = putId(admit(2, { maxAttempts: 60 }));
        queue.work({
          admit: async (job) => {
            if (job.payload.run === 1) throw new TypeError("x is not a function");
            throw Object.assign(new Error("the disk is full"), { code: "SQLITE_FULL" });
          },
        });
        for (let time = 0; time < 6; time++) {
          await queue.idle();
          await clock.advance(60_000);
        }
        await queue.idle();
        expect(row(bug)).toMatchObject({ state: "dead", attempt: 3, error: "x is not a function" });
        expect(row(full)?.state).toBe("waiting");
        expect(row(full)?.attempt).toBeGreaterThan(3);
      });

      it("does not retry what cannot be helped by it", async () => {
        const id = putId(admit(1));
        queue.work({
          admit: async () => {
            throw new LazarusError("push-refused", "the branch is protected");
          },
        });
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "dead", attempt: 1, error: "the branch is protected" });
      });

      it("tells of retry and death in the transaction that writes them", async () => {
        const told: string[] = [];
        const states = () => db.sql.prepare("SELECT state FROM jobs WHERE key = 'admit:1'").pluck().get();
        queue.put(admit(1, { maxAttempts: 2 }));
        queue.work(
          {
            admit: async (job) => {
              if (job.payload.run === 1) throw new Error("no");
              return noting(job, undefined as never);
            },
          },
          {
            onRetry: (job, _error, retryAt) => {
              told.push(
                `retry ${job.attempt} in ${retryAt - clock.now() > 700} ${states()} ${db.sql.inTransaction}`,
              );
              queue.put(admit(2, { lane: "cell:2" }));
            },
            onDead: (job) => {
              told.push(`dead ${job.attempt} ${states()} ${db.sql.inTransaction}`);
              queue.put(admit(3, { lane: "cell:2" }));
              throw new Error("and it fails");
            },
          },
        );
        await queue.idle();
        await clock.advance(1_300);
        await queue.idle();
        expect(told).toEqual(["retry 1 in true waiting true", "dead 2 dead true"]);
        expect(runs()).toBe("2");
        expect(queue.stats()).toMatchObject({ dead: 1, done: 1, waiting: 0 });
      });

      it("does not count attempts in an outage, and lets all that waits for its end go at once", async () => {
        let isAway = true;
        const tried: number[] = [];
        const ids = [1, 2].map((run) => putId(admit(run, { maxAttempts: 1, lane: `cell:${run}` })));
        queue.work(
          {
            admit: async (job) => {
              tried.push(job.payload.run);
              if (isAway) throw new Error("no answer");
              return noting(job, undefined as never);
            },
          },
          { isOutage: async () => isAway },
        );
        await queue.idle();
        for (let round = 0; round < 4; round++) {
          await clock.advance(6 * 60_000);
          await queue.idle();
        }
        expect(tried).toHaveLength(10);
        expect(ids.map((id) => row(id))).toMatchObject([
          { state: "waiting", inOutage: true, error: "no answer" },
          { state: "waiting", inOutage: true },
        ]);
        isAway = false;
        expect(queue.resume()).toBe(2);
        await queue.idle();
        expect(ids.map((id) => row(id))).toMatchObject([
          { state: "done" },
          { state: "done", inOutage: false },
        ]);
        expect(queue.resume()).toBe(0);
      });

      it("counts an attempt where nobody can tell whether it is an outage, or it is none", async () => {
        const answers = [
          async () => {
            throw new Error("cannot tell");
          },
          async () => false,
        ];
        const id = putId(admit(1, { maxAttempts: 2 }));
        queue.work(
          {
            admit: async () => {
              throw new Error("no answer");
            },
          },
          { isOutage: async () => (await answers.shift()?.()) ?? true },
        );
        await queue.idle();
        await clock.advance(2_000);
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "dead", attempt: 2, inOutage: false });
        expect(answers).toEqual([]);
      });

      it("lets a row this version cannot read die with a reason, and goes on", async () => {
        const ids = [1, 2, 3].map((run) => putId(admit(run)));
        db.sql.prepare("UPDATE jobs SET payload = '{\"cellId\":1}' WHERE id = ?").run(ids[0]);
        db.sql.prepare("UPDATE jobs SET kind = 'levitate' WHERE id = ?").run(ids[1]);
        queue.work({ admit: noting });
        await queue.idle();
        expect(runs()).toBe("3");
        expect(row(ids[0] ?? "")).toMatchObject({ state: "dead", error: expect.stringContaining("cellId") });
        expect(row(ids[1] ?? "")).toMatchObject({
          state: "dead",
          error: expect.stringContaining("levitate"),
        });
      });

      it("hands what an attempt noted to the next one", async () => {
        const seen: unknown[] = [];
        queue.put(admit(1));
        queue.work({
          admit: async (job, context) => {
            seen.push(job.notes);
            if (job.attempt > 2) return undefined;
            context.note({ [`attempted${job.attempt}`]: true });
            throw new Error("answer lost");
          },
        });
        await until("the third attempt was made", async () => {
          await queue.idle();
          if (seen.length < 3) await clock.advance(5_000);
          return seen.length >= 3;
        });
        expect(seen).toEqual([{}, { attempted1: true }, { attempted1: true, attempted2: true }]);
      });
    });

    describe("close", () => {
      it("waits for what runs, starts nothing more, and keeps what waits", async () => {
        const first = gate();
        queue.put(admit(1));
        queue.put(admit(2));
        queue.work({
          admit: async (job, context) => {
            started.push(String(job.payload.run));
            await first.opened;
            expect(context.signal.aborted).toBe(false);
            return undefined;
          },
        });
        await until("the first runs", () => started.length === 1);
        const closed = queue.close(10_000);
        await clock.advance(5_000);
        first.open();
        await closed;
        expect(runs()).toBe("1");
        expect(queue.stats()).toMatchObject({ done: 1, waiting: 1, running: 0 });
      });

      it("gives back what does not end in time; its late result is dropped", async () => {
        const first = gate();
        let finished = 0;
        const id = putId(admit(1));
        queue.work({
          admit: async () => {
            started.push("1");
            await first.opened;
            return () => {
              finished++;
            };
          },
        });
        await until("it runs", () => started.length === 1);
        const closed = queue.close(10_000);
        await clock.advance(10_000);
        await closed;
        expect(row(id)).toMatchObject({ state: "waiting", attempt: 1 });
        first.open();
        await clock.advance(0);
        expect(finished).toBe(0);
        expect(row(id)?.state).toBe("waiting");
      });
    });

    describe("processes", () => {
      const scrubbed: Handler<"scrubbed"> = async (job) => {
        started.push(`${job.payload.cellId}/${job.attempt} ${JSON.stringify(job.notes)}`);
        return undefined;
      };

      it("work a job once more after a kill -9 in the middle of its handler", async () => {
        queue.put({ kind: "scrubbed", key: "k", lane: "cell:1", payload: { cellId: "a" } });
        const other = spawnMode("hang-in-handler");
        await until("its handler runs", () => other.said() === "attempt 1\n");
        expect(queue.stats()).toMatchObject({ running: 1 });
        await killed(other.child);
        queue.work({ scrubbed });
        await queue.idle();
        expect(started).toEqual(['a/2 {"attempted":true}']);
        expect(queue.stats()).toMatchObject({ done: 1, running: 0, waiting: 0 });
      });

      it("leave a whole row or none when one is killed while it puts", async () => {
        const other = spawnMode("hang-in-transaction");
        await until("it has put and not committed", () => other.said() === "inside\n");
        await killed(other.child);
        queue.work({ scrubbed });
        await queue.idle();
        expect(started).toEqual(["committed/1 {}"]);
        expect(
          queue.put({ kind: "scrubbed", key: "not committed", lane: "cell:1", payload: { cellId: "b" } }),
        ).not.toBe("duplicate");
      });

      it("see within a poll what another one has put", async () => {
        await queue.close(0);
        queue = make({ db, clock: systemClock });
        queue.work({ scrubbed });
        await queue.idle();
        const other = spawnMode("put");
        await until("it has put", () => other.said() === "put\n");
        await until("this process has worked it", () => started.length === 1);
      });

      /** As a kill leaves it: the work of the old one is never heard of again. */
      const dieAndStart = () => {
        queue = make({ db, clock });
      };
      const hang = { admit: () => new Promise<undefined>(() => {}) };

      const put = (maxAttempts: number) =>
        putId({
          ...{ kind: "scrubbed", key: "k", lane: "cell:1", payload: { cellId: "a" }, maxAttempts },
        } as never);
      /** One more process that is killed in the middle of the job. */
      const killAt = async (attempt: number) => {
        const other = spawnMode("hang-in-handler");
        await until("its handler runs", () => other.said().endsWith(`attempt ${attempt}\n`));
        await killed(other.child);
      };

      it("give up what kills them too often in a row, however many attempts it has", async () => {
        const id = put(100);
        for (const attempt of [1, 2]) await killAt(attempt);
        expect(db.sql.prepare("SELECT kills FROM jobs WHERE id = ?").pluck().get(id)).toBe(1);
        db.sql.prepare("UPDATE jobs SET kills = ?").run(MOST_KILLS - 2);
        await killAt(3);
        queue.work({ scrubbed });
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "dead" });
        expect(row(id)?.error).toContain(`killed ${MOST_KILLS} times in a row`);
        expect(queue.retry(id)).toBe(true);
        await queue.idle();
        expect(row(id)?.state).toBe("done");
      });

      it("put a look at a thread off, and never give it up: what was typed there would be lost", async () => {
        const payload = { repository: { id: 7, fullName: "acme/app" }, number: 1, delivered: {} };
        const look = { kind: "thread", key: "look", lane: "thread:7#1", payload, maxAttempts: 300 };
        const id = putId(look as never);
        db.sql.prepare("UPDATE jobs SET state = 'running', kills = ? WHERE id = ?").run(MOST_KILLS - 1, id);
        queue.work({ thread: async () => undefined });
        await queue.idle();
        const put = db.sql.prepare("SELECT state, kills, not_before - ? AS later FROM jobs WHERE id = ?");
        expect(put.get(clock.now(), id)).toEqual({ state: "waiting", kills: MOST_KILLS - 1, later: 30_000 });
      });

      it("let none of several die of kills that another of them may have caused", async () => {
        const ids = [1, 2].map((n) => putId(admit(n, { lane: `cell:${n}` })));
        db.sql.prepare("UPDATE jobs SET state = 'running', kills = ?").run(MOST_KILLS - 1);
        queue.work({ admit: async () => undefined });
        await queue.idle();
        expect(ids.map((id) => row(id)?.state)).toEqual(["done", "done"]);
      });

      it("find a dead job by its key, however many there are", async () => {
        const id = put(1);
        db.sql.prepare("UPDATE jobs SET state = 'dead' WHERE id = ?").run(id);
        const copy = db.sql.prepare(
          `INSERT INTO jobs (id, queue, kind, key, lane, state, payload, max_attempts, put_at, not_before)
           SELECT @id, queue, kind, @id, lane, 'dead', payload, 1, 0, 0 FROM jobs WHERE key = 'k'`,
        );
        db.transaction(() => {
          for (let n = 0; n < 10_001; n++) copy.run({ id: `other-${n}` });
        });
        expect(queue.retryByKey("k")).toBe(true);
        const state = db.sql.prepare("SELECT state FROM jobs WHERE id = ?").pluck();
        expect(state.get(id)).toBe("waiting");
        expect(queue.retryByKey("k")).toBe(false);
        expect(queue.retryByKey("nobody's")).toBe(false);
        // What nobody needed any more may be needed again.
        expect(queue.drop(id)).toBe(true);
        expect(queue.retry(id)).toBe(false);
        expect(queue.retryByKey("k")).toBe(true);
        expect(state.get(id)).toBe("waiting");
      });

      it("do not count a kill as an attempt, nor one before an attempt that came to an end", async () => {
        const id = put(2);
        for (const attempt of [1, 2]) await killAt(attempt);
        queue.work({
          scrubbed: () => Promise.reject(new LazarusError("git", "not now", { retryable: true })),
        });
        await until("it is put off", () => row(id)?.error === "not now");
        expect(row(id)?.state).toBe("waiting");
        await queue.close(0);
        db.sql.prepare("UPDATE jobs SET not_before = 0").run();
        for (const attempt of [4, 5]) await killAt(attempt);
        queue = make({ db, clock });
        queue.work({ scrubbed });
        await queue.idle();
        expect(row(id)).toMatchObject({ state: "done", attempt: 6 });
      });

      it("try what was often at work when they were killed by itself, and what else was there lives on", async () => {
        const ids = [1, 2, 3].map((n) => putId(admit(n, { lane: `cell:${n}` })));
        const killer = ids[1];
        const running = () => ids.filter((id) => row(id)?.state === "running");
        for (let kills = 0; kills < 2; kills++) {
          queue.work(hang);
          await until("all run", () => running().length === 3);
          dieAndStart();
        }
        db.sql.prepare("UPDATE jobs SET kills = ?").run(MOST_KILLS - 1);
        const ended: string[] = [];
        const once = {
          admit: async (job: Job<"admit">) => {
            expect(running()).toEqual([job.id]);
            if (job.id === killer) return new Promise<undefined>(() => {});
            ended.push(job.id);
            return undefined;
          },
        };
        queue.work(once);
        await until("the killer runs alone", () => running().join() === killer);
        dieAndStart();
        queue.work(once);
        await until("the others have ended", () => ended.length === 2);
        expect(row(killer ?? "")?.state).toBe("dead");
      });
    });
  });
}
