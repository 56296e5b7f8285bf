import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Announcement } from "../../src/cells/announcement.ts";
import type { Cell, Run } from "../../src/cells/cell.ts";
import { GoingOn } from "../../src/cells/going-on.ts";
import { Inviting } from "../../src/cells/inviting.ts";
import { Lifecycle } from "../../src/cells/lifecycle.ts";
import { Proposing } from "../../src/cells/proposing.ts";
import { NOTHING_IN_THE_WAY } from "../../src/cells/reason.ts";
import type { NewCell } from "../../src/cells/registry/cell-row.ts";
import { createDeadlines, type Deadlines } from "../../src/cells/registry/deadlines.ts";
import { Registry } from "../../src/cells/registry/registry.ts";
import { createUids } from "../../src/cells/registry/uids.ts";
import { createRenames } from "../../src/cells/renames.ts";
import { type CellReportKind, createReports, type Reports } from "../../src/cells/reports/reports.ts";
import { Reviewing } from "../../src/cells/reviewing.ts";
import { Steps } from "../../src/cells/steps/steps.ts";
import { Telling } from "../../src/cells/telling.ts";
import { systemClock } from "../../src/clock.ts";
import type { Deps, Origin } from "../../src/commands/command.ts";
import { createDirectorIds } from "../../src/commands/director-ids.ts";
import { createAnnouncer } from "../../src/commands/posting/announce.ts";
import { createRights } from "../../src/commands/rights.ts";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { createForge } from "../../src/gitea/client.ts";
import type { JobKind, JobPayload } from "../../src/protocol/jobs.ts";
import type { Harvest } from "../../src/protocol/shapes.ts";
import { createLocalQueue } from "../../src/queue/local.ts";
import type { Job, JobContext, JobState, Queue } from "../../src/queue/queue.ts";
import type { Db } from "../../src/store/db.ts";
import { createFakeClock, type FakeClock } from "./clock.ts";
import { openFreshDb } from "./fresh-db.ts";

export const ID = "4f1c0b7e-1111-4222-8333-444455556666";
export const BASE = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
export const TIP = "0fedcba987654321000000000000000000000001";

export interface ControlOptions {
  /** Merged over the configuration file's top level. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** `mostBytes`: of an answer; the usual limit where untold. */
  readonly forge?: { readonly url: string; readonly token: string; readonly mostBytes?: number | undefined };
  /** As if Lazarus were root: cells get users of their own. */
  readonly asRoot?: boolean;
}

/** The control side on a real registry and a real job log that nobody works off unless told. */
export interface ControlRig {
  readonly dir: string;
  readonly db: Db;
  readonly clock: FakeClock;
  readonly queue: Queue;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly steps: Steps;
  readonly reports: Reports;
  readonly config: Config;
  readonly deps: Deps & { readonly deadlines: Deadlines; readonly reports: Reports };
  readonly announced: Announcement[];
  /** Hears what a runner says. */
  report<K extends CellReportKind>(kind: K, payload: JobPayload<K>): void;
  /** Writes a cell down as a summon does. */
  create(more?: Partial<NewCell>): Cell;
  /** Creates a cell and lets the reports of a runner bring it to `active`. */
  active(more?: Partial<NewCell>): Cell;
  /** The same up to `idle`, with what its run left. */
  idle(more?: Partial<NewCell>, left?: Partial<Harvest>): Cell;
  cell(id?: string): Cell;
  run(id?: string): Run;
  /** Kinds of the jobs that wait, in the order they were put. */
  waiting(): JobKind[];
  payloads<K extends JobKind>(kind: K, states?: readonly JobState[]): JobPayload<K>[];
  /** Ends every job that waits, as if it had been worked off. */
  clearJobs(): void;
  remove(): void;
}

export function testConfig(dir: string, options: ControlOptions = {}): Config {
  const file = join(dir, "lazarus.yaml");
  writeFileSync(
    file,
    stringify({
      server: { listen: "127.0.0.1:0" },
      forge: {
        url: options.forge?.url ?? "http://127.0.0.1:9",
        token: options.forge?.token ?? "a-token-of-the-test",
        webhook_secret: "a-secret-of-the-test",
        repositories: ["acme/*", "dev/*"],
      },
      data: join(dir, "data"),
      missions: join(dir, "missions"),
      agents: Object.fromEntries(
        ["allegro", "ezra", "kimi"].map((name) => [name, { command: ["true"], backend: "process" }]),
      ),
      ...options.config,
      limits: { spares: 0, ...Object(options.config?.limits) },
    }),
  );
  return loadConfig({ file, env: { PATH: "/usr/bin:/bin" }, cwd: dir, needs: ["forge", "server", "agents"] });
}

export function createControl(options: ControlOptions = {}): ControlRig {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-control-"));
  const config = testConfig(dir, options);
  const clock = createFakeClock(Date.UTC(2026, 10, 21, 14, 2, 11));
  const db = openFreshDb(join(dir, "lazarus.db"));
  const queue = createLocalQueue({ db, clock, log: { info() {}, warn() {}, error() {} } });
  const registry = new Registry(db, clock);
  const announced: Announcement[] = [];
  const announce = createAnnouncer({ queue, registry });
  const stepDeps = {
    ...{ registry, queue, clock, config },
    uids: createUids(db, { range: config.uids, asRoot: options.asRoot ?? false, runner: "local" }),
    announce(one: Announcement) {
      // Some are a reaction, which nobody is told of.
      if (one.kind !== "begun" && one.kind !== "told" && one.kind !== "untold") announced.push(one);
      announce(one);
    },
  };
  const steps = new Steps(stepDeps);
  const reports = createReports({ ...stepDeps, steps });
  const lifecycle = new Lifecycle({ ...stepDeps, steps });
  const telling = new Telling({ ...stepDeps, steps, lifecycle });
  const reviewing = new Reviewing({ ...stepDeps, steps, lifecycle });
  const inviting = new Inviting({ ...stepDeps, steps });
  const goingOn = new GoingOn({ ...stepDeps, steps });
  const proposing = new Proposing({ ...stepDeps, steps, lifecycle });
  const forge = createForge({
    url: config.forge.url,
    token: config.forge.token,
    redact: (text) => text.replaceAll(config.forge.token, "[redacted]"),
    clock: systemClock,
    proxyFor: () => null,
    mostBytes: options.forge?.mostBytes,
  });
  const rights = createRights({ forge, config, clock, directorIds: createDirectorIds(db) });
  const renames = createRenames({ db, registry, steps, clock, log: { info() {}, warn() {} } });

  const rig: ControlRig = {
    dir,
    db,
    clock,
    queue,
    registry,
    lifecycle,
    steps,
    reports,
    config,
    deps: {
      ...{
        forge,
        registry,
        lifecycle,
        telling,
        reviewing,
        inviting,
        goingOn,
        proposing,
        steps,
        queue,
        rights,
        renames,
        clock,
        config,
        reports,
      },
      deadlines: createDeadlines(db),
    },
    report: (kind, payload) => reports.hear({ kind, key: crypto.randomUUID(), payload } as never),
    announced,
    create(more = {}) {
      const cell = newCell(clock.now(), more);
      lifecycle.create(cell, [{ name: cell.agent, kind: "bot", role: "executor" }], "summoned");
      return rig.cell(cell.id);
    },
    active(more = {}) {
      const { id } = rig.create(more);
      rig.report("run-started", started(id, 1, clock.now()));
      return rig.cell(id);
    },
    idle(more = {}, left = {}) {
      const { id } = rig.active(more);
      rig.report("run-ended", ended(id, 1, clock.now()));
      rig.report("collected", { cellId: id, run: 1, harvest: harvest(left) });
      return rig.cell(id);
    },
    cell: (id = ID) => present(registry.cell(id)),
    run: (id = ID) => present(registry.lastRun(id)),
    waiting: () =>
      queue
        .list({ states: ["waiting"], limit: 1_000 })
        .reverse()
        .map((row) => row.kind),
    payloads<K extends JobKind>(kind: K, states: readonly JobState[] = ["waiting"]) {
      const rows = db.sql
        .prepare(
          "SELECT payload FROM jobs WHERE kind = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY seq",
        )
        .all(kind, JSON.stringify(states)) as { payload: string }[];
      return rows.map((row) => JSON.parse(row.payload) as JobPayload<K>);
    },
    clearJobs() {
      db.sql.prepare("UPDATE jobs SET state = 'done', ended_at = 0 WHERE state = 'waiting'").run();
    },
    remove() {
      db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return rig;
}

function present<T>(value: T | null): T {
  if (value === null) throw new Error("it is not in the registry");
  return value;
}

/** A cell as `summon` plans it. */
export function newCell(now: number, more: Partial<NewCell> = {}): NewCell {
  const id = more.id ?? ID;
  return {
    id,
    approval: null,
    repository: { id: 7, fullName: "acme/app" },
    number: 262,
    isPullRequest: false,
    title: "Make the parser accept empty input",
    issueUrl: "https://git.example.org/acme/app/issues/262",
    requester: { id: 3, login: "dev" },
    askedInComment: 41,
    asked: {
      ...{ via: "forge", repository: { id: 7, fullName: "acme/app" }, number: 262 },
      ...{ source: "comment", sourceId: 41, index: 0, person: { id: 3, login: "dev" } },
    } as const,
    agent: "allegro",
    waitsForApproval: false,
    baseName: "main",
    baseRef: "refs/heads/main",
    baseCommit: BASE,
    branch: `lazarus/${id.slice(0, 8)}`,
    delivery: "draft",
    mergeInto: { repository: "acme/app", branch: "main" },
    rules: null,
    fork: null,
    brief: "# Mission: Make the parser accept empty input\n",
    briefSha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    createdAt: now,
    expiresAt: now + 24 * 60 * 60_000,
    ...more,
  };
}

/** What a good run leaves: two commits, a report. */
export function harvest(more: Partial<Harvest> = {}): Harvest {
  const commit = (hash: string, subject: string) => ({ hash, subject, author: "allegro", at: 0 });
  return {
    changed: true,
    tip: TIP,
    commits: [
      commit(TIP, "Accept empty input"),
      commit("1".repeat(40), "Test the parser with nothing in its hands"),
    ],
    commitCount: 2,
    files: 3,
    added: 41,
    removed: 7,
    hadUncommitted: false,
    unfinished: null,
    salvaged: null,
    heldBack: [],
    protectedPaths: [],
    forbidden: [],
    shownSecrets: [],
    diff: null,
    closing: [],
    report: null,
    question: null,
    signs: null,
    said: null,
    logTail: "",
    ...more,
  };
}

export function nothingLeft(more: Partial<Harvest> = {}): Harvest {
  return harvest({
    changed: false,
    tip: null,
    commits: [],
    commitCount: 0,
    files: 0,
    added: 0,
    removed: 0,
    ...more,
  });
}

export function started(cellId: string, run: number, startedAt: number): JobPayload<"run-started"> {
  return {
    cellId,
    run,
    handle: { pid: 4711 },
    startedAt,
    logPath: `/x/logs/allegro-${run}.log`,
    prompt: null,
    secrets: [],
  };
}

/** A setup begins for a run of a cell. */
export function setupStarted(cellId: string, run: number, startedAt: number): JobPayload<"setup-started"> {
  return {
    cellId,
    run,
    setup: {
      command: "npm ci --ignore-scripts",
      digest: "d".repeat(64),
      source: null,
      network: ["registry.npmjs.org"],
      limitMs: 300_000,
      handle: { pid: 4712 },
      startedAt,
    },
  };
}

/** It ends, well unless told otherwise. */
export function setupEnded(
  cellId: string,
  run: number,
  endedAt: number,
  more: Partial<JobPayload<"setup-ended">["end"]> = {},
): JobPayload<"setup-ended"> {
  return {
    cellId,
    run,
    end: {
      endedAt,
      ...{ code: 0, signal: null, stopped: null, tail: "" },
      ...{ refusedHosts: [], leftovers: [], changed: [], untracked: [] },
      ...more,
    },
  };
}

export function ended(
  cellId: string,
  run: number,
  endedAt: number,
  more: Partial<JobPayload<"run-ended">> = {},
): JobPayload<"run-ended"> {
  return {
    cellId,
    run,
    began: true,
    endedAt,
    code: 0,
    signal: null,
    stopped: null,
    refusedHosts: [],
    leftovers: [],
    ...more,
  };
}

/** Somebody's comment on a thread, as a command's origin. */
export function origin(
  person: { id: number; login: string },
  thread: { repository: { id: number; fullName: string }; number: number },
  more: Partial<Origin> = {},
): Origin {
  return {
    asker: {
      via: "forge",
      repository: thread.repository,
      number: thread.number,
      source: "comment",
      sourceId: 41,
      index: 0,
      person,
    },
    person,
    isOperator: false,
    thread,
    commentId: 41,
    issueHash: null,
    notes: {},
    note: () => {},
    ...more,
  };
}

/** The operator of the command line. */
export function operator(more: Partial<Origin> = {}): Origin {
  return {
    asker: { via: "cli", request: crypto.randomUUID(), operator: "operator root" },
    person: { id: null, login: "operator root" },
    isOperator: true,
    thread: null,
    commentId: null,
    issueHash: null,
    notes: {},
    note: () => {},
    ...more,
  };
}

/** A job as a handler gets it, and a context that keeps its notes. */
export function jobOf<K extends JobKind>(
  kind: K,
  payload: JobPayload<K>,
  more: Partial<Job<K>> = {},
): { job: Job<K>; context: JobContext; notes: Record<string, unknown> } {
  const notes: Record<string, unknown> = {};
  const job: Job<K> = {
    id: crypto.randomUUID(),
    kind,
    key: crypto.randomUUID(),
    lane: "a lane",
    payload,
    attempt: 1,
    outages: 0,
    interruptions: 0,
    maxAttempts: 10,
    putAt: 0,
    notes: {},
    ...more,
  };
  const note = (fresh: Record<string, unknown>) => void Object.assign(notes, fresh);
  return { job, context: { signal: new AbortController().signal, note }, notes };
}

/** What has not happened yet to a cell that was just made. */
export const NOTHING_YET = {
  reason: null,
  ...NOTHING_IN_THE_WAY,
  directoryTrouble: null,
  repositoryTrouble: null,
  outcome: null,
  health: null,
  cardId: null,
  cardShown: null,
  pullRequest: null,
  pullRequestRepository: null,
  publishedBranch: null,
  publishedTip: null,
  peopleTip: null,
  harvest: null,
  pushRefused: null,
  releasedTip: null,
  releasedBy: null,
  releasedSecrets: null,
  closing: null,
  sealedAt: null,
  healthReason: null,
  healthSince: null,
  seenAt: null,
  beat: null,
  breaker: null,
  ttlWarnedFor: null,
  keepUntil: null,
  setUpWith: null,
  checked: null,
  runner: "local",
  runnerTrouble: null,
  ...{ moreUsd: 0, moreTokens: 0, turnsFrom: 0, stored: null },
} as const satisfies Partial<Cell>;
