import { systemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { JOBS, type JobKind } from "../../src/protocol/jobs.ts";
import type { AnyReport } from "../../src/protocol/reports.ts";
import { PROTOCOL } from "../../src/protocol/runner-facts.ts";
import type { RunnerPort } from "../../src/protocol/runner-port.ts";
import { connect } from "../../src/transport/bullmq.ts";
import { runnerKey, wayKeys } from "../../src/transport/keys.ts";
import type { Post } from "../../src/transport/post.ts";
import type { RemotePort, RemotePortOptions } from "../../src/transport/remote-options.ts";
import { remotePort } from "../../src/transport/remote-port.ts";
import { createRunnerEnd, type RunnerEnd } from "../../src/transport/runner-end.ts";
import type { RedisServer } from "../scale/redis.ts";

export const MASTER = Buffer.alloc(32, 7);
export const PREFIX = "lz:test";
export const BEAT_MS = 150;

export function post(redis: RedisServer, more: { user?: string; password?: string } = {}): Promise<Post> {
  const { user = null, password = null } = more;
  const at = { kind: "redis", host: "127.0.0.1", port: redis.port, db: 0, isTls: false, ca: null } as const;
  return connect({ ...at, user, password, prefix: PREFIX, log: silentLog });
}

export const keysOf = (name: string, generation = 1) => wayKeys(runnerKey(MASTER, name, generation));

/** Control's side of a runner's line. */
export function controlEnd(
  name: string,
  through: Post,
  more: Partial<RemotePortOptions> & Pick<RemotePortOptions, "report">,
): RemotePort {
  const keys = keysOf(name);
  return remotePort({
    ...{ name, post: through, epoch: Date.now(), clock: systemClock, log: silentLog, generation: () => 1 },
    keyTo: (generation) => (generation === 1 ? keys.to : null),
    keyFrom: (generation) => (generation === 1 ? keys.from : null),
    lastIncarnation: null,
    welcome: () => ({ knownIds: [], watched: { runs: [], setups: [], checks: [] }, policy: {} }),
    unwatched: () => ({ runs: [], setups: [], checks: [] }),
    passesFor: () => ({ passes: [], sealPass: null }),
    isAtWork: () => true,
    isOurs: () => true,
    changed() {},
    ...more,
  });
}

/** A runner's side, before what does the work. */
export function runnerEnd(
  name: string,
  through: Post,
  open: () => RunnerPort,
  more: { readonly kinds?: readonly string[]; readonly keys?: ReturnType<typeof keysOf> } = {},
): RunnerEnd {
  const kinds = more.kinds ?? (Object.keys(JOBS) as JobKind[]).filter((kind) => JOBS[kind].queue === "cells");
  return createRunnerEnd({
    ...{
      name,
      generation: 1,
      post: through,
      keys: more.keys ?? keysOf(name),
      clock: systemClock,
      log: silentLog,
    },
    redact: (text) => text,
    facts: {
      ...{ version: "0.1.0", protocol: PROTOCOL, bootId: "boot", kinds: [...kinds, "brew"], labels: [] },
      ...{ slots: 4, beatMs: BEAT_MS, agents: [] },
    },
    standing: async () => ({ now: Date.now(), full: null, freeBytes: 1, mirrors: [], trees: [], cells: 0 }),
    open: async () => open(),
    policyChanged() {},
    localize: (job) => job,
    localizeWatched: (watched) => watched,
    ended() {},
    maySweep: async () => true,
    passes() {},
  });
}

/** Takes each report once, as the job log does. */
export function once(reports: AnyReport[]): (said: readonly AnyReport[]) => void {
  return (said) => {
    for (const one of said) if (!reports.some(({ key }) => key === one.key)) reports.push(one);
  };
}
