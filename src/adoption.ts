import { isBeingSetUp } from "./cells/cell.ts";
import type { Registry } from "./cells/registry/registry.ts";
import type { Uids } from "./cells/registry/uids.ts";
import type { Runner } from "./runner/runner.ts";

/** Where it is written down what an earlier process started. */
export interface Started {
  readonly registry: Registry;
  readonly uids: Uids;
}

/** Runs and setups that an earlier process started are watched on; half-made and half-removed directories go. Answers how many live. */
export async function adopt(runner: Runner, started: Started): Promise<number> {
  const [runs, setups] = [running(started), settingUp(started)];
  await runner.sweep(started.registry.list().map((cell) => cell.id));
  runner.watch(runs);
  runner.watchSetups(setups);
  return runs.length + setups.length;
}

/** Watches one run, or the setup for it, that was just reported: whoever reported it may have been killed since. */
export function watchStarted(
  runner: Runner,
  started: Started,
  { cellId, run }: { readonly cellId: string; readonly run: number },
): void {
  runner.watch(running(started).filter((one) => one.cellId === cellId && one.run === run));
  runner.watchSetups(settingUp(started).filter((one) => one.cell.id === cellId && one.run === run));
}

function running({ registry }: Started): Parameters<Runner["watch"]>[0] {
  return registry.openRuns(["running"]).flatMap((run) => {
    if (run.handle === null || run.startedAt === null) return [];
    const { cellId, n, agent, handle, startedAt } = run;
    const { health, healthSince: since, beat } = registry.mustCell(cellId);
    const before = health === null || since === null ? null : { health, since, beat };
    return [{ cellId, run: n, agent, handle, startedAt, before }];
  });
}

function settingUp({ registry, uids }: Started): Parameters<Runner["watchSetups"]>[0] {
  return registry.openRuns(["admitted"]).flatMap((run) => {
    if (run.setup === null || !isBeingSetUp(run)) return [];
    const { end: _, handle, ...setup } = run.setup;
    const { id, repository } = registry.mustCell(run.cellId);
    return [{ cell: { id, repository, user: uids.of(id) }, run: run.n, agent: run.agent, setup, handle }];
  });
}
