import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Registry } from "../src/cells/registry/registry.ts";
import { systemClock } from "../src/clock.ts";
import { loadConfig } from "../src/config/config.ts";
import { openKeyFile } from "../src/key-file.ts";
import { silentLog } from "../src/log.ts";
import { LOST_KEY, queuePrefix, RUNNERS_KEY } from "../src/open-elsewhere.ts";
import { JOBS } from "../src/protocol/jobs.ts";
import { PROTOCOL } from "../src/protocol/runner-facts.ts";
import { type Outcome, type RunnerJob, type RunnerPort, watchedKeys } from "../src/protocol/runner-port.ts";
import { openDb } from "../src/store/db.ts";
import { prepareDataDir } from "../src/store/lock.ts";
import { connect } from "../src/transport/bullmq.ts";
import { runnerKey, wayKeys } from "../src/transport/keys.ts";
import { createRunnerEnd, type RunnerEnd } from "../src/transport/runner-end.ts";

export interface Pretended {
  readonly ends: ReadonlyMap<string, RunnerEnd>;
  /** How many runs they were told to watch. */
  watched(): number;
  close(): Promise<void>;
}

export interface Addition {
  readonly name: string;
  readonly key: Buffer;
  readonly generation: number;
}

/** Adds runners to a registry that nobody serves yet. */
export function addRunners(configPath: string, names: readonly string[]) {
  const config = configOf(configPath);
  prepareDataDir(config.dataDir);
  const db = openDb(join(config.dataDir, "lazarus.db"));
  try {
    const registry = new Registry(db, systemClock);
    const master = openKeyFile(config.dataDir, RUNNERS_KEY, LOST_KEY);
    const prefix = queuePrefix(config, { registry });
    const added = names.map((name): Addition => {
      const { generation } = registry.runners.add(name, Date.now());
      return { name, generation, key: runnerKey(master, name, generation) };
    });
    return { prefix, added };
  } finally {
    db.close();
  }
}

const configOf = (file: string) =>
  loadConfig({ file, env: { PATH: process.env.PATH ?? "" }, cwd: join(file, ".."), needs: [] });

/**
 * Runners that speak as runners do, through Redis, and have nothing behind them: what they are told to watch
 * lives for ever, and `perform` says what comes of a job.
 */
export async function pretendRunners(
  { prefix, added }: ReturnType<typeof addRunners>,
  how: {
    readonly port: number;
    readonly beatMs: number;
    readonly slots: number;
    readonly perform: (job: RunnerJob, name: string) => Promise<Outcome>;
  },
): Promise<Pretended> {
  const at = { kind: "redis", host: "127.0.0.1", port: how.port, db: 0, isTls: false } as const;
  const post = await connect({ ...at, user: null, password: null, ca: null, prefix, log: silentLog });
  const watching = new Set<string>();
  const ends = new Map<string, RunnerEnd>();
  for (const { name, key, generation } of added) {
    const there = new Set<string>();
    const port: RunnerPort = {
      name,
      do: (job) => how.perform(job, name),
      adopt(watched) {
        for (const { cellId } of watched.runs) there.add(cellId);
        for (const one of watchedKeys(watched)) watching.add(one);
      },
      sweep: async () => {},
      inventory: async () => ({ root: "/pretended", there, damaged: new Map(), strangers: [] }),
      readLog: async () => ({ text: "", cut: false }),
      hear: async () => false,
      close: async () => {},
    };
    const end = createRunnerEnd({
      ...{ name, generation, post, clock: systemClock, log: silentLog, keys: wayKeys(key) },
      redact: (text) => text,
      facts: {
        ...{ version: "0.1.0", protocol: PROTOCOL, bootId: randomUUID(), labels: [] },
        ...{ kinds: Object.keys(JOBS), slots: how.slots, beatMs: how.beatMs },
        agents: [
          {
            ...{ name: "stamp", preset: null, backend: "process", network: "none", unavailable: null },
            ...{ hasCoAuthor: false, costUsd: 0, tokens: 0, runMs: 43_200_000 },
          },
        ],
      },
      standing: async () => ({
        ...{ now: Date.now(), full: null, freeBytes: 1e12, mirrors: [7], trees: [], cells: there.size },
      }),
      open: async () => port,
      policyChanged() {},
      localize: (job) => job,
      localizeWatched: (watched) => watched,
      ended() {},
      maySweep: async () => false,
      passes() {},
    });
    ends.set(name, end);
  }
  return {
    ends,
    watched: () => watching.size,
    async close() {
      await Promise.all([...ends.values()].map((end) => end.close(0)));
      await post.close();
    },
  };
}
