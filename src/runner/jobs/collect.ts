import { logNameOf } from "../../cells/names.ts";
import { explain, isRetryable } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { Harvest } from "../../protocol/shapes.ts";
import { aboutShown } from "../../protocol/shown-secret.ts";
import { collect } from "../collect/collect.ts";
import { collectVisit } from "../collect/collect-visit.ts";
import { readPacket } from "../collect/packet.ts";
import { type Confines, surroundingsOf, unknownAgent } from "../confinement.ts";
import { backendNamed, type Parts, parseHandle } from "../context.ts";
import { pathsOf } from "../disk/directory.ts";
import { openWork } from "../disk/guest-room.ts";
import { endAll, endWhatStayed } from "../end-run.ts";
import { note, whileBeating } from "../journal.ts";
import { mustKnow, namedSecrets } from "../known-secrets.ts";
import { UsageReader } from "../usage/usage-reader.ts";

export async function collectRun(
  parts: Parts,
  job: RunnerJob<"collect">,
  signal: AbortSignal,
): Promise<Outcome> {
  const { cellId, run, repository, user, agent: name, baseCommit } = job.payload;
  const doing = `looking through what cell ${cellId.slice(0, 8)} made`;
  const { changed } = mustKnow(job.payload.secrets, parts, doing);
  const handle = parseHandle(job.payload.handle);
  // An attempt that was killed with us may have left its child at work in there; nobody else would ever end
  // it.
  if (job.attempt > 1) await endAll(parts, { cellId, run, user, handle });
  const agent = parts.config.agents.get(name);
  const confines: Confines = agent ?? unknownAgent(name);
  const paths = pathsOf(parts.cellDir(cellId));
  const cell = { id: cellId, paths, mirror: parts.mirrors.path(repository), user };
  // File times are those of the kernel's tick, which may be a little behind.
  const since = handle === null ? 0 : handle.startedAt - 1_000;
  const traces = {
    ...{ handle, since, log: logNameOf(name, run) },
    memoryKills: parts.groups.memoryKills(cellId),
    endedAt: job.payload.endedAt ?? parts.clock.now(),
    isKnown: agent?.preset != null,
  };
  if (job.payload.role === "observer") {
    await endWhatStayed(parts, { cellId, run, user, handle });
    const of = { paths, agent: name, user, traces: { ...traces, redact: parts.redact } };
    const harvest = await whileBeating(parts, cellId, "collecting", () => collectVisit(of));
    await note(parts, cellId, { what: "visited", run, agent: name });
    return { reports: [reportOf("collected", { cellId, run, harvest }, job.key)] };
  }
  if (user !== null) await openWork(paths, user);
  if (job.payload.fork !== null) await provideBase(parts, job, signal);
  const plan = {
    paths,
    backend: backendNamed(parts, handle?.backend ?? agent?.backend ?? "process"),
    surroundings: surroundingsOf(cell, confines, { role: "executor", path: parts.config.childPath }),
    agent: name,
    baseCommit,
    branch: job.payload.branch,
    seams: job.payload.seams,
    fork: job.payload.fork,
    run,
    ...traces,
    asked: job.payload.asked,
  };
  const { publish, limits } = parts.config;
  const deps = {
    ...parts,
    freeBytes: limits.freeBytes,
    maxFileBytes: publish.maxFileBytes,
    secrets: namedSecrets(parts.config, parts.learned),
    protected: publish.protected,
    untouched: job.payload.untouched,
  };
  const found = await whileBeating(parts, cellId, "collecting", () => collect(deps, plan));
  await endWhatStayed(parts, { cellId, run, user, handle });
  const usedBy = { cellDir: paths.cell, run, agent: name, preset: agent?.preset ?? null };
  const usage = await new UsageReader(usedBy).look({ isWhole: true });
  const held = changed.length === 0 ? found.harvest : withHeld(found.harvest, changed);
  const harvest = withCost(withMarks(held, parts), usage?.costUsd ?? null);
  const { turn = run } = job.payload;
  const packet = await readPacket(paths.cell, { turn, agent: name, redact: parts.redact });
  const answers = job.payload.asked === null ? {} : { answers: [...found.answers] };
  await note(parts, cellId, {
    what: "collected",
    run,
    tip: harvest.tip,
    held_back: [
      ...[...harvest.forbidden, ...harvest.shownSecrets.map(aboutShown)],
      ...[...harvest.protectedPaths, ...harvest.heldBack],
    ],
  });
  const used = usage === null ? {} : { usage };
  return { reports: [reportOf("collected", { cellId, run, harvest, ...answers, packet, ...used }, job.key)] };
}

/**
 * What a fork brought is told from the target's own base, which the mirror may not have had yet. One that is
 * gone there stays untold: all is held back.
 */
async function provideBase(parts: Parts, job: RunnerJob<"collect">, signal: AbortSignal): Promise<void> {
  const { fork, repository, user } = job.payload;
  if (fork === null || fork.commit === null) return;
  const want = { commit: fork.commit, ref: fork.ref, group: user?.groups[0] ?? null };
  await parts.mirrors.provide(repository, want, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    parts.log.warn(
      { cell: job.payload.cellId, why: explain(error) },
      "the base of a fork's pull request is gone",
    );
  });
}

/** A director lets a value go, and no later one of the same name. */
function withMarks(harvest: Harvest, { config, heartbeats }: Parts): Harvest {
  const shownSecrets = harvest.shownSecrets.map((one) => {
    const known = config.envSecrets.find(({ name }) => name === one.name);
    return { ...one, mark: known === undefined ? null : heartbeats.markOf(known.name, known.value) };
  });
  return { ...harvest, shownSecrets };
}

/** Its last event may tell what all of its session cost. */
function withCost(harvest: Harvest, costUsd: number | null): Harvest {
  const { said } = harvest;
  return said === null || costUsd === null ? harvest : { ...harvest, said: { ...said, costUsd } };
}

/** A value that was replaced since cannot be looked for: a director decides. */
function withHeld(harvest: Harvest, names: readonly string[]): Harvest {
  if (!harvest.changed) return harvest;
  const held = names.map(
    (name) => `${name} had another value when its agent ran, which cannot be looked for`,
  );
  return { ...harvest, heldBack: [...harvest.heldBack, ...held] };
}
