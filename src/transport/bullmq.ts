import { rootCertificates } from "node:tls";
import type { Queue, RedisOptions, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { RedisConfig } from "../config/runners.ts";
import { LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Post, Receiving } from "./post.ts";
import { createTrouble, inWords, type RedisFacts } from "./redis-words.ts";

/** A send that Redis does not take within this is given up; the next sign of life repeats it. */
const SEND_MS = 10_000;
const CONNECT_MS = 5_000;
/** A connection on which nothing comes for so long is half open. */
const SILENT_MS = 15_000;
const LOOK_MS = 30_000;
/** A receiver that got nothing for so long although its queue holds something is made anew. */
const STUCK_MS = 60_000;
const CLOSE_MS = 2_000;
/**
 * A message is handed over in milliseconds. One that a killed process had in hand stands in the way of the
 * next of its id until its lock is over, and somebody has looked twice.
 */
const LOCK_MS = 5_000;

export interface PostOptions extends RedisConfig {
  readonly prefix: string;
  readonly log: Log;
}

interface Receiver {
  worker: Worker;
  heardAt: number;
  readonly take: (message: unknown) => void;
}

/**
 * Messages by BullMQ's queues on a Redis. Nothing but `add` and a worker that hands over is used of it: no
 * attempts, no delays, no events. `connect` returns at once, whether Redis answers or not.
 * @throws LazarusError `configuration` where the packages are not installed.
 */
export async function connect(options: PostOptions): Promise<Post> {
  const { Queue, Worker, Redis } = await load();
  const { log, prefix } = options;
  const base: RedisOptions = {
    ...{ host: options.host, port: options.port, db: options.db },
    ...(options.user === null ? {} : { username: options.user }),
    ...(options.password === null ? {} : { password: options.password }),
    ...secured(options),
    ...{
      connectTimeout: CONNECT_MS,
      keepAlive: 10_000,
      retryStrategy: (n: number) => Math.min(n * 200, 2_000),
    },
  };
  const where = `Redis at ${options.host}:${options.port}`;
  // All queues share one connection, all workers another. Only what waits for a message has its own.
  const sending = new Redis({
    ...{ ...base, enableOfflineQueue: false, maxRetriesPerRequest: 1, socketTimeout: SILENT_MS },
  });
  const receiving = new Redis({ ...base, maxRetriesPerRequest: null });
  const queues = new Map<string, Queue>();
  const receivers = new Map<string, Receiver>();
  const hurt = createTrouble({ where, log });
  let isClosed = false;
  for (const one of [sending, receiving]) one.on("error", (error: unknown) => hurt.failed(error));

  const queueOf = (name: string): Queue => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const made = new Queue(name, {
      connection: sending,
      prefix,
      skipVersionCheck: true,
      skipMetasUpdate: true,
      streams: { events: { maxLen: 0 } },
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    made.on("error", (error) => hurt.failed(error));
    queues.set(name, made);
    return made;
  };
  const workerOf = (name: string, receiver: Pick<Receiver, "take" | "heardAt">): Worker => {
    const worker = new Worker(
      name,
      async (job) => {
        receiver.heardAt = performance.now();
        hurt.worked();
        receiver.take((job.data as { message?: unknown } | null)?.message);
      },
      {
        connection: receiving,
        ...{ prefix, skipVersionCheck: true, concurrency: 1, drainDelay: 30 },
        ...{ lockDuration: LOCK_MS, stalledInterval: LOCK_MS, maxStalledCount: 1_000_000_000 },
        ...{ removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } },
      },
    );
    worker.on("error", (error) => hurt.failed(error));
    return worker;
  };

  /** Wakes receivers that have fallen asleep: their queue holds something, and they hear nothing. */
  const wakeSleepers = async () => {
    let isHungUp = false;
    for (const [name, receiver] of receivers) {
      const isSilent = () => performance.now() - receiver.heardAt >= STUCK_MS;
      const waiting = isSilent() ? await queueOf(name).getWaitingCount() : 0;
      if (waiting === 0 || isClosed || receivers.get(name) !== receiver || !isSilent()) continue;
      log.warn({ queue: name, waiting }, "a receiver has fallen asleep; it is made anew");
      receiver.heardAt = performance.now();
      void receiver.worker.close(true).catch(() => {});
      // It may be half open; what was asked on it is asked again.
      if (!isHungUp) receiving.disconnect(true);
      isHungUp = true;
      receiver.worker = workerOf(name, receiver);
    }
  };
  let isLooking = false;
  const looking = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    wakeSleepers()
      .catch((error: unknown) => hurt.failed(error))
      .finally(() => {
        isLooking = false;
      });
  }, LOOK_MS);
  looking.unref();

  return {
    async send(name, message, id) {
      try {
        await within(SEND_MS, queueOf(name).add("m", { message }, id === undefined ? {} : { jobId: id }));
        hurt.worked();
      } catch (error) {
        hurt.failed(error);
        throw new LazarusError("queue-unreachable", `sending to ${name}`, { cause: error, retryable: true });
      }
    },
    receive(name, take): Receiving {
      const receiver = { take, heardAt: performance.now() } as Receiver;
      receiver.worker = workerOf(name, receiver);
      receivers.set(name, receiver);
      return {
        async close() {
          if (receivers.get(name) === receiver) receivers.delete(name);
          await orLate(receiver.worker.close());
          await orLate(receiver.worker.close(true));
        },
      };
    },
    trouble: () => hurt.why(),
    async close() {
      isClosed = true;
      clearInterval(looking);
      await Promise.all([...receivers.values()].map(({ worker }) => orLate(worker.close(true))));
      await Promise.all([...queues.values()].map((queue) => orLate(queue.close())));
      await Promise.all([sending, receiving].map(hangUp));
    },
  };
}

/** A CA of ours is trusted besides the usual ones. */
function secured({ isTls, ca }: PostOptions): Pick<RedisOptions, "tls"> {
  if (!isTls) return {};
  return { tls: ca === null ? {} : { ca: [...rootCertificates, ca] } };
}

async function load() {
  try {
    const [{ Queue, Worker }, { Redis }] = await Promise.all([import("bullmq"), import("ioredis")]);
    return { Queue, Worker, Redis };
  } catch (error) {
    throw new LazarusError(
      "configuration",
      "queue: the packages bullmq and ioredis are not installed, which redis:// needs: run npm install without --omit=optional",
      { cause: error },
    );
  }
}

/** Asks a Redis once. @throws LazarusError `queue-unreachable`, in words. */
export async function askRedis(options: PostOptions): Promise<RedisFacts> {
  const { Redis } = await import("ioredis");
  const client = new Redis({
    ...{ host: options.host, port: options.port, db: options.db },
    ...(options.user === null ? {} : { username: options.user }),
    ...(options.password === null ? {} : { password: options.password }),
    ...secured(options),
    ...{ connectTimeout: CONNECT_MS, maxRetriesPerRequest: 1, retryStrategy: () => null },
  });
  let last: unknown = null;
  client.on("error", (error: unknown) => {
    last = error;
  });
  try {
    const info = await within(SEND_MS, client.info());
    const asked = performance.now();
    await within(SEND_MS, client.ping());
    const roundTripMs = performance.now() - asked;
    const value = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? null;
    const isAof = value("aof_enabled") === "1";
    const saves = Number(value("rdb_last_save_time") ?? 0) > 0 && value("rdb_saves") !== "0";
    return {
      version: value("redis_version"),
      policy: value("maxmemory_policy"),
      persistence: value("aof_enabled") === null ? null : isAof ? "aof" : saves ? "rdb" : "none",
      roundTripMs,
    };
  } catch (error) {
    const where = `Redis at ${options.host}:${options.port}`;
    throw new LazarusError("queue-unreachable", `${where}: ${inWords(last ?? error)}`, { retryable: true });
  } finally {
    client.disconnect();
  }
}

/**
 * Ends a connection. One that begins is waited for: an error of its TLS handshake would come to nobody.
 */
async function hangUp(client: Redis): Promise<void> {
  if (client.status === "connecting")
    await orLate(new Promise<void>((done) => client.once("connect", done).once("close", done)));
  client.disconnect();
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function orLate(work: Promise<unknown>): Promise<void> {
  await within(CLOSE_MS, work).catch(() => {});
}
