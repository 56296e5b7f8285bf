import type { RunnerPort, Watched, WatchedRun, WatchedSetup } from "../protocol/runner-port.ts";
import { isBeingSetUp } from "./cell.ts";
import type { Registry } from "./registry/registry.ts";
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
  const watched = watchedOn(runner.name, started);
  const cells = started.registry.list().filter((cell) => cell.runner === runner.name);
  await runner.sweep(cells.map((cell) => cell.id));
  runner.adopt(watched);
  return watched.runs.length + watched.setups.length;
}

/** Has one run watched, or the setup for it, that its runner has just reported. */
export function watchStarted(
  runner: RunnerPort,
  started: Started,
  { cellId, run }: { readonly cellId: string; readonly run: number },
): void {
  const { runs, setups } = watchedOn(runner.name, started);
  runner.adopt({
    runs: runs.filter((one) => one.cellId === cellId && one.run === run),
    setups: setups.filter((one) => one.cell.id === cellId && one.run === run),
  });
}

function watchedOn(runner: string, started: Started): Watched {
  return { runs: running(runner, started), setups: settingUp(runner, started) };
}

function running(runner: string, { registry }: Started): WatchedRun[] {
  return registry.openRuns(["running"]).flatMap((run) => {
    if (run.handle === null || run.startedAt === null) return [];
    const { cellId, n, agent, handle, startedAt } = run;
    const { runner: where, health, healthSince: since, beat } = registry.mustCell(cellId);
    if (where !== runner) return [];
    const before = health === null || since === null ? null : { health, since, beat };
    return [{ cellId, run: n, agent, handle, startedAt, before }];
  });
}

function settingUp(runner: string, { registry, uids }: Started): WatchedSetup[] {
  return registry.openRuns(["admitted"]).flatMap((run) => {
    if (run.setup === null || !isBeingSetUp(run)) return [];
    const { end: _, handle, ...setup } = run.setup;
    const { id, repository, runner: where } = registry.mustCell(run.cellId);
    if (where !== runner) return [];
    return [{ cell: { id, repository, user: uids.of(id) }, run: run.n, agent: run.agent, setup, handle }];
  });
}
