import type { RunnerPort, Watched, WatchedCheck, WatchedRun, WatchedSetup } from "../protocol/runner-port.ts";
import { type Cell, isBeingSetUp, type Run } from "./cell.ts";
import type { Check } from "./check.ts";
import type { Registry } from "./registry/registry.ts";
import type { RunAtWork } from "./registry/runners.ts";
import type { Uids } from "./registry/uids.ts";

/** Where it is written down what an earlier process started. */
export interface Started {
  readonly registry: Registry;
  readonly uids: Uids;
}

/**
 * A runner's cells that run or are set up are watched on; what was half-made or half-removed goes. Answers
 * how many live.
 */
export async function adopt(runner: RunnerPort, started: Started): Promise<number> {
  const watched = watchedBy(runner.name, started);
  const ids = started.registry.list().flatMap((cell) => (cell.runner === runner.name ? [cell.id] : []));
  await runner.sweep(ids);
  runner.adopt(watched);
  return watched.runs.length + watched.setups.length + watched.checks.length;
}

/**
 * What a runner has to watch. `known`: what it watches by its own word; `atWork`: its runs, as they are now
 * or were a moment ago.
 */
export function watchedBy(
  runner: string,
  started: Started,
  {
    known = new Set<string>(),
    atWork = started.registry.runners.atWork().get(runner),
  }: { readonly known?: ReadonlySet<string>; readonly atWork?: readonly RunAtWork[] | undefined } = {},
): Watched {
  const { registry } = started;
  const cells = new Map<string, Cell | null>();
  const cellOf = (id: string): Cell | undefined => {
    if (!cells.has(id)) cells.set(id, registry.cell(id));
    const cell = cells.get(id);
    return cell?.runner === runner ? cell : undefined;
  };
  const isKnown = (cellId: string, n: number, state: string) =>
    known.has(state === "running" ? `${cellId}:${n}` : `${cellId}:setup:${n}`);
  const runs = (atWork ?? []).flatMap(({ cellId, n, state }) => {
    const run = isKnown(cellId, n, state) ? null : registry.run(cellId, n);
    return run === null ? [] : [run];
  });
  const watched = watchedOn(runs, cellOf, started);
  const checks = registry.checks.allAtWork().flatMap((one) => checking(one, cellOf(one.cellId), started));
  return { ...watched, checks };
}

/** Has a check watched that its runner has just reported. */
export function watchCheckStarted(
  runner: RunnerPort,
  started: Started,
  { cellId, check }: { readonly cellId: string; readonly check: number },
): void {
  const cell = started.registry.mustCell(cellId);
  const one = started.registry.checks.one(cellId, check);
  if (cell.runner === runner.name && one !== null)
    runner.adopt({ runs: [], setups: [], checks: checking(one, cell, started) });
}

/** Has one run watched, or the setup for it, that its runner has just reported. */
export function watchStarted(
  runner: RunnerPort,
  started: Started,
  { cellId, run }: { readonly cellId: string; readonly run: number },
): void {
  const cell = started.registry.mustCell(cellId);
  if (cell.runner === runner.name)
    runner.adopt({ ...watchedOn([started.registry.mustRun(cellId, run)], () => cell, started), checks: [] });
}

/** What of these runs is to be watched. `cellOf`: a run's cell, where its runner has it. */
function watchedOn(
  runs: readonly Run[],
  cellOf: (id: string) => Cell | undefined,
  { uids }: Started,
): Pick<Watched, "runs" | "setups"> {
  const pairs = runs.flatMap((run) => {
    const cell = cellOf(run.cellId);
    return cell === undefined ? [] : [{ run, cell }];
  });
  return {
    runs: pairs.flatMap(({ run, cell }) => running(run, cell)),
    setups: pairs.flatMap(({ run, cell }) => settingUp(run, cell, uids)),
  };
}

function running(run: Run, { health, healthSince: since, beat }: Cell): WatchedRun[] {
  const { cellId, n, agent, handle, startedAt } = run;
  if (run.state !== "running" || handle === null || startedAt === null) return [];
  const before = health === null || since === null ? null : { health, since, beat };
  return [{ cellId, run: n, agent, handle, startedAt, before }];
}

function settingUp(run: Run, { id, repository }: Cell, uids: Uids): WatchedSetup[] {
  if (run.state !== "admitted" || run.setup === null || !isBeingSetUp(run)) return [];
  const { end: _, handle, ...setup } = run.setup;
  return [{ cell: { id, repository, user: uids.of(id) }, run: run.n, agent: run.agent, setup, handle }];
}

function checking(one: Check, cell: Cell | undefined, { uids }: Started): WatchedCheck[] {
  const { n: check, name, agent, state, handle, startedAt, limitMs } = one;
  const plan = cell?.checked?.plan.find((planned) => planned.name === name);
  if (state !== "running" || cell === undefined || plan === undefined) return [];
  if (handle === null || startedAt === null || limitMs === null) return [];
  const { id, repository } = cell;
  const { command, network } = plan;
  const ours = { id, repository, user: uids.of(id) };
  return [{ cell: ours, check, agent, name, command, network, limitMs, startedAt, handle }];
}
