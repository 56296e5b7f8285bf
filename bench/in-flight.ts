import { fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { startServe } from "../scripts/serve-process.ts";
import { silentLog } from "../src/log.ts";
import { PROTOCOL } from "../src/protocol/runner-facts.ts";
import { connect } from "../src/transport/bullmq.ts";
import { wayKeys } from "../src/transport/keys.ts";
import { createSpeaker, listen } from "../src/transport/line.ts";
import { toRunner } from "../src/transport/messages.ts";
import { queueNames } from "../src/transport/post.ts";
import { until } from "../test/fakes/until.ts";
import { RedisServer } from "../test/scale/redis.ts";
import { cpuMsOf } from "./at-rest.ts";
import type { BusyRunners } from "./busy-runners.ts";
import type { ForgeProcess } from "./forge.ts";
import { type Figure, median, writeBenchConfig } from "./ground.ts";
import { residentMb } from "./memory.ts";
import { type Addition, addRunners } from "./pretended-runners.ts";
import { fillRegistry, idOf } from "./registry.ts";

const RUNNERS = 1_000;
const JOBS = 10_000;
const BEAT_MS = 10_000;
const MINUTE_MS = 60_000;
const SETTLING_MS = 20_000;
const PROBE_MS = 200;
const PATIENCE_MS = 5 * 60_000;

/** One minute of a control that has 1,000 runners and 10,000 jobs at work there. */
export async function inFlight(dir: string, forge: ForgeProcess): Promise<Figure[]> {
  const ground = join(dir, "in-flight");
  const redis = await RedisServer.start();
  const config = writeBenchConfig(ground, forge, ["/bin/true"], {
    queue: redis.url,
    runner: { slots: 0 },
    limits: { cells: 2 * JOBS, per_repository: 2 * JOBS, per_person: 2 * JOBS },
  });
  fillRegistry(join(ground, "data"), JOBS, (n) => ({
    handle: { backend: "process", cellId: idOf(n), run: 1, pid: 1 },
    logPath: `/pretended/${idOf(n)}/logs/stamp-1.log`,
  }));
  const names = Array.from({ length: RUNNERS }, (_, n) => `r${n + 1}`);
  const { prefix, added } = addRunners(config, [...names, "probe"]);
  putJobs(join(ground, "data", "lazarus.db"), forge.repositoryId);
  let begun = 0;
  const runners = fork(join(import.meta.dirname, "busy-runners.ts"));
  runners.on("message", (count: number) => {
    begun = count;
  });
  const others = added.filter(({ name }) => name !== "probe");
  const busy: BusyRunners = {
    ...{ prefix, port: redis.port, beatMs: BEAT_MS, slots: JOBS },
    added: others.map((one) => ({ ...one, key: one.key.toString("base64") })),
  };
  runners.send(busy);
  const probe = await startProbe({ port: redis.port, prefix, as: added[RUNNERS] });
  const serving = await startServe(config, join(ground, "serve.log"));
  try {
    await until("all jobs are in flight", () => begun === JOBS, PATIENCE_MS);
    await until("the probe is answered", () => probe.answers.length > 0, PATIENCE_MS);
    await pause(SETTLING_MS);
    probe.beginAnew();
    const pids = [serving.pid, redis.pid, runners.pid ?? 0, process.pid];
    const before = pids.map(cpuMsOf);
    await pause(MINUTE_MS);
    const used = pids.map((pid, at) => (cpuMsOf(pid) - (before[at] ?? 0)) / MINUTE_MS);
    const [cores = 0, ofRedis = 0, ofRunners = 0, own = 0] = used;
    const beside = `Redis ${ofRedis.toFixed(2)}, runners ${ofRunners.toFixed(2)}, probe ${own.toFixed(2)}`;
    const answers = [...probe.answers].sort((a, b) => a - b);
    const p99 = answers[Math.floor(answers.length * 0.99)] ?? Number.POSITIVE_INFINITY;
    const rssMb = residentMb(serving.pid);
    const name = `${RUNNERS} runners, ${JOBS} jobs in flight`;
    const figure = (what: string, floor: string, measured: string, ratio: number): Figure => ({
      ...{ name: `${name}: ${what}`, floor, measured, ratio, reach: { atMost: 1 } },
    });
    return [
      figure("control's CPU", "1 core", `${cores.toFixed(2)} cores (${beside})`, cores),
      figure(
        `a beat's answer, p99 of ${answers.length}`,
        "1000 ms",
        `${p99.toFixed(0)} ms (median ${median(answers).toFixed(0)})`,
        p99 / 1_000,
      ),
      figure("control's memory", "500 MB", `${rssMb.toFixed(0)} MB`, rssMb / 500),
    ];
  } finally {
    await serving.end();
    await probe.close();
    runners.disconnect();
    await redis.remove();
  }
}

/** Ten cells for each runner, and a job of each that no runner ends. */
function putJobs(file: string, repositoryId: number): void {
  const db = new Database(file);
  db.prepare(
    `UPDATE cells SET runner = 'r' || (1 + seq % ${RUNNERS}), health = 'healthy', health_reason = 'output',
     health_since = created_at, seen_at = created_at, repository = ?`,
  ).run(repositoryId);
  db.prepare(
    `INSERT INTO jobs (id, queue, kind, key, lane, state, urgent, payload, max_attempts, put_at, not_before)
     SELECT 'flight-' || id, 'cells', 'mark', id || ':flight', 'mark:' || id, 'waiting', 0,
     json_object('cellId', id, 'mission', json_object('status', 'active', 'members', json('[]'), 'history', json('[]'))),
     12, created_at, created_at FROM cells`,
  ).run();
  db.close();
}

/** One runner more, which says what it has done although nobody asked for it, and waits to be told to forget it. */
async function startProbe(at: {
  readonly port: number;
  readonly prefix: string;
  readonly as: Addition | undefined;
}) {
  const { name, key, generation } = at.as ?? { name: "", key: Buffer.alloc(32), generation: 1 };
  const server = { kind: "redis", host: "127.0.0.1", port: at.port, db: 0, isTls: false } as const;
  const post = await connect({
    ...{ ...server, user: null, password: null, ca: null, prefix: at.prefix, log: silentLog },
  });
  const keys = wayKeys(key);
  const incarnation = crypto.randomUUID();
  const names = queueNames(name);
  const answers: number[] = [];
  const asked = new Map<string, number>();
  let epoch = 0;
  let isWelcome = false;
  const speaker = createSpeaker({
    ...{ post, queue: names.from, keyOf: () => keys.from },
    header: () => ({ generation, epoch, incarnation }),
  });
  const say = (message: object) => void speaker.say(message).catch(() => {});
  const standing = () => ({ now: Date.now(), full: null, freeBytes: 1e12, mirrors: [], trees: [], cells: 0 });
  const receiving = listen({ post, queue: names.to, keyOf: () => keys.to }, toRunner, {
    heard: (header, message) => {
      epoch = header.epoch;
      if (message.say === "greet")
        say({
          say: "join",
          facts: {
            ...{ version: "0.1.0", protocol: PROTOCOL, bootId: "probe", kinds: [], labels: [] },
            ...{ slots: 0, beatMs: BEAT_MS, agents: [] },
          },
          standing: standing(),
        });
      if (message.say === "welcome") isWelcome = true;
      if (message.say !== "forget") return;
      for (const { row } of message.done) {
        const since = asked.get(row);
        if (since !== undefined) answers.push(performance.now() - since);
        asked.delete(row);
      }
    },
    dropped() {},
  });
  let count = 0;
  const beating = setInterval(() => {
    if (!isWelcome) return say({ say: "hello" });
    const row = `probe-${++count}`;
    asked.set(row, performance.now());
    say({
      ...{ say: "beat", standing: standing(), isWelcome, inHand: [], watching: [] },
      done: [{ row, attempt: 1 }],
    });
  }, PROBE_MS);
  return {
    answers,
    /** What was asked until now counts no more. */
    beginAnew() {
      asked.clear();
      answers.length = 0;
    },
    async close() {
      clearInterval(beating);
      await receiving.close();
      await post.close();
    },
  };
}
