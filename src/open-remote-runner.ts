import { once } from "node:events";
import { readFileSync, statfsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { addressOf } from "./app.ts";
import type { Clock } from "./clock.ts";
import type { AgentConfig, Config } from "./config/config.ts";
import { explain, LazarusError, systemCode } from "./errors.ts";
import { createStreams } from "./gitea/http.ts";
import { heartbeatServer } from "./http/heartbeats.ts";
import type { Log } from "./log.ts";
import { prepareRunner } from "./open-runner.ts";
import { JOBS, type JobKind } from "./protocol/jobs.ts";
import { PROTOCOL, type RunnerFacts, type RunnerStanding } from "./protocol/runner-facts.ts";
import type { HeartbeatWords } from "./protocol/runner-port.ts";
import type { SealPlace } from "./protocol/seal-place.ts";
import { subjectOf } from "./protocol/subject.ts";
import type { Redactor } from "./redact.ts";
import { createCellUsers } from "./runner/cell-users.ts";
import { createPassBook, type PassBook } from "./runner/pass-book.ts";
import { readPolicy } from "./runner/policy.ts";
import type { Runner } from "./runner/runner.ts";
import { createSealClient } from "./seals/seal-client.ts";
import { prepareDataDir, takeLock } from "./store/lock.ts";
import { connect } from "./transport/bullmq.ts";
import { readJoinLine, wayKeys } from "./transport/keys.ts";
import { createRunnerEnd, type RunnerEnd } from "./transport/runner-end.ts";
import { formatSize } from "./units.ts";

export interface RemoteRunnerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
  readonly version: string;
  /** What holds at control is another than when this process joined: it must be started anew. */
  readonly policyChanged: () => void;
}

/** A runner of another control, at work. */
export interface RemoteRunner {
  readonly name: string;
  readonly agents: ReadonlyMap<string, AgentConfig>;
  /** Takes nothing new, and leaves agents running. */
  stop(): Promise<void>;
}

const DRAIN_MS = 8_000;
const CELL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** More cells that control does not know are no leftovers: perhaps its registry is another, or an old one. */
const MOST_UNKNOWN = 3;

/**
 * Takes the lock of its data directory and joins its control. It returns at once, whether control answers
 * or not.
 * @throws LazarusError `lock-held` where another runner, or a server, is at work on the same data.
 */
export async function openRemoteRunner(given: Config, options: RemoteRunnerOptions): Promise<RemoteRunner> {
  const { clock, log, redactor } = options;
  const line = readJoinLine(given.runner.join ?? "");
  if (given.queue === "local")
    throw new LazarusError("configuration", "queue: is local, and a runner needs a Redis");
  redactor.add(line.key);
  prepareDataDir(given.dataDir);
  const lock = takeLock(given.dataDir);
  if (lock === null)
    throw new LazarusError(
      "lock-held",
      `using ${given.dataDir}: another lazarus is at work on it; is this runner started twice?`,
    );
  // Let go in the opposite order, also where the rest cannot be had: who tries again is not heard twice.
  const held: (() => unknown)[] = [() => lock.release()];
  const letGo = async () => {
    for (const one of held.reverse())
      try {
        await one();
      } catch (error) {
        log.warn({ why: explain(error) }, "this runner could not let go of something, and goes on ending");
      }
  };
  try {
    const server = given.runner.gate ?? line.gate;
    const gate = `${server}/git`;
    const users = createCellUsers({
      dataDir: given.dataDir,
      range: given.uids,
      asRoot: process.geteuid?.() === 0,
    });
    const passes = createPassBook(gate);
    const post = await connect({ ...given.queue, prefix: given.queue.prefix ?? line.prefix, log });
    held.push(() => post.close());
    const slots = given.runner.slots ?? given.limits.cells;
    let inner: Runner | null = null;
    const end: { now: RunnerEnd | null } = { now: null };
    const config: Config = {
      ...given,
      forge: { ...given.forge, url: gate, token: "", caFile: given.runner.gateCaFile },
    };
    const opened = await prepareRunner(config, {
      ...{
        name: line.name,
        clock,
        log,
        redact: redactor.redact,
        learn: redactor.add,
        tokenFor: passes.tokenFor,
        seals: openSealClient(server, config, passes),
      },
      report: (report) => {
        if (end.now === null) throw new LazarusError("runner-gone", "not joined yet", { retryable: true });
        end.now.report(report);
      },
    });
    held.push(() => opened.close());
    const hears = {
      isToken: opened.heartbeats.isToken,
      redact: redactor.redact,
      hear: async (cellId: string, words: HeartbeatWords) => (await inner?.hear(cellId, words)) ?? false,
    };
    const listening = await listenForHeartbeats(config, heartbeatServer(hears, clock));
    held.push(() => listening.close());
    opened.heartbeats.listensAt(listening.url);
    const standing = async (): Promise<RunnerStanding> => ({
      now: clock.now(),
      ...disk(config, users.shortage()),
      mirrors: await mirrorsIn(config.dataDir),
      trees: inner?.trees() ?? [],
      cells: (await cellsIn(config.missionsDir)).length,
    });
    end.now = createRunnerEnd({
      ...{
        name: line.name,
        generation: line.generation,
        post,
        clock,
        log,
        redact: redactor.redact,
        standing,
      },
      keys: wayKeys(Buffer.from(line.key, "hex")),
      facts: factsOf(config, {
        agents: opened.agents,
        slots,
        version: options.version,
        bootId: clock.machine().bootId,
      }),
      async open(policy) {
        inner = opened.begin(readPolicy(policy));
        return inner;
      },
      policyChanged: options.policyChanged,
      localize: (job) => users.give(job),
      localizeWatched: (watched) => users.watched(watched),
      ended: (job, isOk) => {
        const { cellId } = subjectOf(job.payload);
        if (!isOk || cellId === null) return;
        if (job.kind === "scrub" || job.kind === "let-go") users.release(cellId);
        if (job.kind === "spare") users.spareIsMade(cellId);
      },
      maySweep: async (knownIds) => {
        const known = new Set(knownIds);
        const unknown = (await cellsIn(config.missionsDir)).filter((id) => !known.has(id));
        if (unknown.length <= MOST_UNKNOWN) return true;
        log.warn(
          { cells: unknown.length },
          "control knows nothing of so many cells that lie here: nothing is cleaned up; was its registry restored from an old copy?",
        );
        return false;
      },
      passes: passes.hold,
    });
    return {
      name: line.name,
      agents: opened.agents,
      async stop() {
        await end.now?.close(DRAIN_MS);
        await letGo();
      },
    };
  } catch (error) {
    await letGo();
    throw error;
  }
}

/** Without a byte in either direction. */
const SEALS_SILENT_MS = 10 * 60_000;

/** Control's seals, over its server. */
function openSealClient(
  root: string,
  { runner, proxyFor }: Pick<Config, "runner" | "proxyFor">,
  passes: Pick<PassBook, "sealPassOf">,
): SealPlace {
  const ca = runner.gateCaFile === null ? undefined : readFileSync(runner.gateCaFile, "utf8");
  const streams = createStreams({ ca, proxyFor, timeoutMs: SEALS_SILENT_MS });
  return createSealClient({ root, streams, passOf: passes.sealPassOf });
}

function factsOf(
  config: Config,
  more: {
    readonly agents: ReadonlyMap<string, AgentConfig>;
    readonly slots: number;
    readonly version: string;
    readonly bootId: string;
  },
): RunnerFacts {
  const { slots, version, bootId } = more;
  const agents = [...more.agents.values()].map((agent) => ({
    ...{ name: agent.name, preset: agent.preset, backend: agent.backend, unavailable: agent.unavailable },
    network: typeof agent.network === "string" ? agent.network : [...agent.network],
    hasCoAuthor: agent.git.hasCoAuthor,
    ...{ costUsd: agent.limits.costUsd, tokens: agent.limits.tokens, runMs: agent.limits.runMs },
  }));
  const kinds = (Object.keys(JOBS) as JobKind[]).filter((kind) => JOBS[kind].queue === "cells");
  const { labels, beatMs } = config.runner;
  return { version, protocol: PROTOCOL, bootId, kinds, labels: [...labels], slots, beatMs, agents };
}

/** How much is free, and whether that is enough for another cell. */
function disk(
  { dataDir, limits }: Pick<Config, "dataDir" | "limits">,
  shortage: string | null,
): Pick<RunnerStanding, "full" | "freeBytes"> {
  const { bavail, bsize } = statfsSync(dataDir);
  const freeBytes = bavail * bsize;
  const isFull = freeBytes < limits.freeBytes;
  return {
    freeBytes,
    full: isFull
      ? `its disk is full: ${formatSize(freeBytes)} free, ${formatSize(limits.freeBytes)} needed (limits.free)`
      : shortage,
  };
}

async function mirrorsIn(dataDir: string): Promise<number[]> {
  const names = await namesIn(join(dataDir, "mirrors"));
  return names.flatMap((name) => (/^\d+\.git$/.test(name) ? [Number(name.slice(0, -4))] : []));
}

async function cellsIn(missionsDir: string): Promise<string[]> {
  return (await namesIn(missionsDir)).filter((name) => CELL.test(name));
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new LazarusError("directory", `looking into ${dir}: ${explain(error)}`, {
      cause: error,
      retryable: true,
    });
  }
}

/** Agents of this host are heard here, and nowhere else. Answers the address. */
async function listenForHeartbeats(
  { server: { host, port } }: Config,
  hears: RequestListener,
): Promise<{ readonly url: string; close(): void }> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000 }, hears);
  server.maxConnections = 256;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const why = `cannot listen on ${host}:${port} for heartbeats: ${explain(error)} (server.listen)`;
    throw new LazarusError("usage", why, { cause: error });
  }
  return {
    url: addressOf({ host, port: (server.address() as AddressInfo).port }),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
