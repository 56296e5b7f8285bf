import { join } from "node:path";
import { lookingAt } from "./agents-elsewhere.ts";
import { adopt } from "./cells/adoption.ts";
import type { Cell, Run } from "./cells/cell.ts";
import { tick, watchedClock } from "./cells/clock-jumps.ts";
import { lookAtTime } from "./cells/expiry.ts";
import { GoingOn } from "./cells/going-on.ts";
import { Inviting } from "./cells/inviting.ts";
import { Lifecycle } from "./cells/lifecycle.ts";
import { Proposing } from "./cells/proposing.ts";
import { audit } from "./cells/registry/audit.ts";
import { createDeadlines } from "./cells/registry/deadlines.ts";
import { Registry } from "./cells/registry/registry.ts";
import { createUids } from "./cells/registry/uids.ts";
import { createRenames } from "./cells/renames.ts";
import { createReportHandlers, createReports } from "./cells/reports/reports.ts";
import { Reviewing } from "./cells/reviewing.ts";
import { createRunnerHandlers, jobsElsewhere, LOCAL_RUNNER } from "./cells/runner-jobs.ts";
import { showLine } from "./cells/steps/admission.ts";
import { lookAtProposals } from "./cells/steps/proposal-jobs.ts";
import { CALM_MS } from "./cells/steps/step-jobs.ts";
import { Steps } from "./cells/steps/steps.ts";
import { Telling } from "./cells/telling.ts";
import { type Clock, systemClock } from "./clock.ts";
import { locate, lookAtRepositories } from "./commands/access/confirm-repository.ts";
import type { Deps } from "./commands/command.ts";
import { createDirectorIds } from "./commands/director-ids.ts";
import { createCommandHandlers } from "./commands/dispatch.ts";
import { createAnnouncer } from "./commands/posting/announce.ts";
import { pruneAnswers } from "./commands/posting/answer.ts";
import { createReplyHandlers } from "./commands/posting/post.ts";
import { createTailHandler } from "./commands/posting/tailed.ts";
import { createRights } from "./commands/rights.ts";
import type { Config } from "./config/config.ts";
import { explain } from "./errors.ts";
import { tellingFacts } from "./facts.ts";
import { failures } from "./failures.ts";
import { createFleet } from "./fleet.ts";
import type { Forge } from "./gitea/port.ts";
import { createReach, type Reach } from "./gitea/reach.ts";
import type { Log } from "./log.ts";
import type { Elsewhere } from "./open-elsewhere.ts";
import { openForge } from "./open-forge.ts";
import { sealStoreOf, unkeeping } from "./open-seals.ts";
import type { RunnerPort } from "./protocol/runner-port.ts";
import { pruneAttempts } from "./queue/job-attempts.ts";
import { createLocalQueue } from "./queue/local.ts";
import type { Queue } from "./queue/queue.ts";
import { createReadiness } from "./readiness.ts";
import { createRedactor, type Redactor } from "./redact.ts";
import { type Db, openDb } from "./store/db.ts";
import { createCatchUp } from "./webhooks/catchup.ts";
import { parseText } from "./webhooks/read-text.ts";
import { createSeenEntries, type SeenEntries } from "./webhooks/seen-entries.ts";
import { createThreadHandler } from "./webhooks/thread.ts";
import { createUnlooked, type Unlooked } from "./webhooks/unlooked.ts";

export const REGISTRY = "lazarus.db";
const TICK_MS = 15_000;
const REPOSITORIES_MS = 10 * 60_000;
/** That an issue was deleted is nothing that anybody waits for. */
const UNDECIDED_POLLS = 5;
const RETRY_LOOK_MS = 1_000;
const FINISHED_JOBS_KEPT_MS = 14 * 24 * 60 * 60_000;
const HOUR_MS = 60 * 60_000;
/** Within the 10 s that a service manager is promised. */
const DRAIN_MS = 8_000;

/** What is asked, decided, written down and posted; it touches no directory, no process and no git. */
export interface Control {
  readonly db: Db;
  readonly queue: Queue;
  readonly registry: Registry;
  readonly forge: Forge;
  readonly deps: Deps;
  readonly handled: SeenEntries;
  readonly unlooked: Unlooked;
  /** How many running agents of an earlier process are watched again. */
  readonly adopted: number;
  /** Null until the forge has answered. */
  botId(): number | null;
  /** Why it is not ready; empty when it is. */
  notReady(): string[];
  /** Stops looking, and lets the jobs in hand finish. */
  drain(): Promise<void>;
}

export interface PartsOptions {
  readonly log: Log;
  readonly redactor?: Redactor;
  readonly clock?: Clock;
  readonly forge?: (made: Forge) => Forge;
}
export type Parts = ReturnType<typeof openParts>;

/** The parts that a verb needs, without anything being at work: for command lines that only read. */
export function openParts(given: Config, options: PartsOptions) {
  const clock = watchedClock(options.clock ?? systemClock);
  const redactor = options.redactor ?? createRedactor(given.secrets);
  const db = openDb(join(given.dataDir, REGISTRY));
  const queue = createLocalQueue({ db, clock, log: options.log, redact: redactor.redact });
  const registry = new Registry(db, clock);
  const heard: { by: Reach["heard"] } = { by: () => {} };
  const made = openForge(given, { redact: redactor.redact, clock, heard: (error) => heard.by(error) });
  const forge = options.forge?.(made) ?? made;
  // Only root can give cells users of their own: decided here, once.
  const asRoot = process.geteuid?.() === 0;
  const elsewhere: { by: Elsewhere | null; agents: Config["agents"] } = { by: null, agents: given.agents };
  const config: Config = { ...given, agents: lookingAt(() => elsewhere.agents) };
  const isElsewhereToo = () => elsewhere.by !== null;
  const uids = createUids(db, { range: config.uids, asRoot, runner: LOCAL_RUNNER, isElsewhereToo });
  const announce = createAnnouncer({ queue, registry });
  const place = (cell: Cell, run: Run) => elsewhere.by?.place(cell, run) ?? { runner: cell.runner };
  const sealStore = sealStoreOf(given);
  const sealsIn = sealStore?.place;
  const left = (cellId: string, from: string) => db.afterCommit(() => elsewhere.by?.left(cellId, from));
  const stepDeps = { registry, queue, uids, clock, config, announce, place, left, sealsIn };
  const steps = new Steps(stepDeps);
  const reports = createReports({
    ...stepDeps,
    steps,
    unkeep: unkeeping(sealStore, { db, log: options.log }),
  });
  const lifecycle = new Lifecycle({ ...stepDeps, steps });
  const telling = new Telling({ ...stepDeps, steps, lifecycle });
  const reviewing = new Reviewing({ ...stepDeps, steps, lifecycle });
  const inviting = new Inviting({ ...stepDeps, steps });
  const proposing = new Proposing({ ...stepDeps, steps, lifecycle });
  const goingOn = new GoingOn({ ...stepDeps, steps });
  const rights = createRights({ forge, config, clock, directorIds: createDirectorIds(db) });
  const renames = createRenames({ db, registry, steps, clock, log: options.log });
  const deps: Deps = {
    ...{ forge, registry, lifecycle, telling, reviewing, inviting, goingOn, proposing },
    ...{ steps, queue, rights, renames, clock, config },
  };
  return {
    ...{ asRoot, elsewhere, sealStore, stepDeps, clock, redactor, db, queue, registry, uids, forge },
    ...{ heard, lifecycle, steps, reports, rights, deps },
  };
}

/** Adopts what runs on the runner, and begins to work the job log off. */
export async function openControl(
  config: Config,
  { parts, runner, log }: { readonly parts: Parts; readonly runner: RunnerPort; readonly log: Log },
): Promise<Control> {
  const { clock, redactor, db, queue, registry, forge, steps, reports, rights } = parts;
  const deps: Deps = { ...parts.deps, config };
  const handled = createSeenEntries(db, { clock, patterns: config.forge.repositories });
  const unlooked = createUnlooked(clock);
  const reading = { handled, unlooked, log };
  const deadlines = createDeadlines(db);
  // Whoever looks at a deadline has looked at the clock just before.
  const lookAtClock = () => noteTick({ ...deps, deadlines, log });
  lookAtClock();
  clock.watch(() => trying(lookAtClock, log));
  const { repositories: patterns, pollMs } = config.forge;
  const looking = { forge, db, queue, handled, clock, log, isServed: rights.isServed };
  const catchUp = createCatchUp({ ...looking, patterns, pollMs });
  const adopted = await adopt(runner, parts);
  // All that is written before work begins: where it cannot be, nothing has begun.
  takeUp(parts);

  const reach = createReach({
    clock,
    log,
    ask: () => forge.probe(),
    onBack() {
      const jobs = queue.resume();
      log.info({ forge: config.forge.url, jobs }, "the forge answers; what waited for it goes on");
      // The look at a start is catch-up's own.
      if (readiness.botId() !== null) void catchUp.look();
    },
  });
  parts.heard.by = reach.heard;
  const begin = (forgeNow: number, forgeAtStart: number) => {
    db.transaction(() => {
      handled.serve(patterns, forgeAtStart);
      catchUp.begin(forgeNow, forgeAtStart);
    });
    catchUp.start();
    rights.bindDirectors().catch((error: unknown) => {
      log.warn({ why: explain(error) }, "not every director could be looked for: bound when first seen");
    });
  };
  const postDeps = { ...deps, db, reports, redact: redactor.redact };
  const fleet = createFleet({ local: runner, elsewhere: parts.elsewhere.by, parts, log });
  const handlers = {
    ...createThreadHandler({ ...postDeps, ...reading, parse: parseText, forgeNow: catchUp.forgeNow }),
    ...createCommandHandlers({ ...postDeps, log }),
    ...createReportHandlers(reports, fleet.watchStarted),
    ...createTailHandler(postDeps),
    ...createReplyHandlers(postDeps),
    ...createRunnerHandlers(fleet, {
      ...{ registry, queue },
      onMoved: async (repository) => {
        deps.renames.doubt(repository.id);
        forge.forgetRepositories();
        const located = await locate(repository, deps);
        return located.kind === "here" ? null : located.why;
      },
    }),
  };
  queue.work(tellingFacts(handlers, { log, registry }), {
    ...failures({ ...postDeps, reach }),
    isElsewhere: jobsElsewhere(new Map([[runner.name, runner]]), registry),
  });
  const readiness = createReadiness({ config, forge, reach, clock, log, begin });

  const lookAtRetries = () => {
    lookAtClock();
    steps.admitDue();
  };
  const lookAtEnds = () => {
    lookAtClock();
    lookAtTime({ ...deps, deadlines });
  };
  const lookAtUndecided = () => db.transaction(() => lookAtProposals({ registry, queue }, clock.now()));
  const again = { clock, log };
  const cancels = [
    every(CALM_MS, () => showLine({ registry, steps }), again),
    every(RETRY_LOOK_MS, lookAtRetries, again),
    every(TICK_MS, lookAtEnds, again),
    every(REPOSITORIES_MS, () => void lookAtRepositories({ ...deps, log }), again),
    ...(pollMs === 0 ? [] : [every(pollMs * UNDECIDED_POLLS, lookAtUndecided, again)]),
    every(config.pit.scanMs, fleet.look, again),
    every(HOUR_MS, () => prune(parts, config), again),
  ];
  return {
    db,
    queue,
    registry,
    forge,
    deps,
    handled,
    unlooked,
    adopted,
    botId: readiness.botId,
    notReady: () => [...readiness.notReady(), ...(parts.elsewhere.by?.notReady() ?? [])],
    async drain() {
      clock.unwatch();
      for (const cancel of [...cancels, readiness.stop, reach.stop, catchUp.stop]) cancel();
      await fleet.stop();
      await queue.close(DRAIN_MS);
      await parts.elsewhere.by?.close();
    },
  };
}

/** Gives places to runs in line, and has looked through what runs left. */
function takeUp({ registry, steps }: Pick<Parts, "registry" | "steps">): void {
  steps.admitWaiting();
  // A command line elsewhere may have known too little to look through what a run left.
  for (const cell of registry.list(["active", "idle", "closing"]))
    if (cell.stuck?.isOver && cell.stuck.job === "collect")
      registry.transaction(() => steps.advance(cell.id));
}

/** Forgets what was done long ago. */
function prune(
  { queue, db, clock, registry }: Pick<Parts, "queue" | "db" | "clock" | "registry">,
  config: Config,
): void {
  const before = clock.now() - FINISHED_JOBS_KEPT_MS;
  queue.prune(before, (subject) => registry.cell(subject)?.state === "destroyed");
  db.transaction(() => pruneAnswers(db, before));
  db.transaction(() => pruneAttempts(db));
  db.transaction(() => audit(db).prune(clock.now() - config.audit.keepMs));
}

/** Deadlines move with a wall clock that was set, before anybody looks at them. */
function noteTick(deps: Parameters<typeof tick>[0] & { readonly log: Log }): void {
  const jumpMs = tick(deps);
  if (jumpMs !== 0)
    deps.log.warn({ jump_ms: jumpMs }, "the wall clock was set: deadlines were moved with it");
}

/** A registry that cannot be written just then (disk full, locked) is no reason to die. */
function trying(act: () => void, log: Log): void {
  try {
    act();
  } catch (error) {
    log.error({ why: explain(error) }, "looking after the cells failed; trying again");
  }
}

/** Acts again and again. */
function every(ms: number, act: () => void, at: { clock: Clock; log: Log }): () => void {
  let cancel = () => {};
  const again = () => {
    cancel = at.clock.after(ms, () => {
      trying(act, at.log);
      again();
    });
  };
  again();
  return () => cancel();
}
