import { appendFileSync } from "node:fs";
import { systemClock } from "../../src/clock.ts";
import { createLocalQueue } from "../../src/queue/local.ts";
import { openDb } from "../../src/store/db.ts";

/**
 * A second process on the same registry: `queue-process.ts MODE REGISTRY OUT`. It writes one line to OUT when
 * it is where it shall be killed.
 */
const [mode = "", registry = "", out = ""] = process.argv.slice(2);
const say = (line: string) => appendFileSync(out, `${line}\n`);
const silent = { info() {}, warn() {}, error() {} };

const db = openDb(registry);
const queue = createLocalQueue({ db, clock: systemClock, log: silent });
// Due whatever the clock of the test says.
const job = (key: string) =>
  ({ kind: "scrubbed", key, lane: "cell:1", payload: { cellId: key }, notBefore: 0 }) as const;

if (mode === "hang-in-handler") {
  setInterval(() => {}, 1_000);
  queue.work({
    scrubbed: async (job, context) => {
      context.note({ attempted: true });
      say(`attempt ${job.attempt}`);
      await new Promise(() => {});
      return undefined;
    },
  });
} else if (mode === "hang-in-transaction") {
  queue.put(job("committed"));
  db.transaction(() => {
    queue.put(job("not committed"));
    say("inside");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
} else if (mode === "put") {
  queue.put(job("from elsewhere"));
  say("put");
} else if (mode === "lock") {
  // As if an upgrade were due: whoever opens it now has to write.
  db.sql.pragma("user_version = 0");
  db.sql.exec("BEGIN EXCLUSIVE");
  say("locked");
  setInterval(() => {}, 1_000);
}
