import { toIso } from "../../clock.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { clearChecks } from "../checks/check-place.ts";
import { surroundingsOf, unknownAgent } from "../confinement.ts";
import { backendNamed, type Parts, parseHandle } from "../context.ts";
import { pathsOf, whatIs } from "../disk/directory.ts";
import { openWork, removeCopy } from "../disk/guest-room.ts";
import { removeSigningKey } from "../disk/signing-key.ts";
import { endAll, endWhatStayed } from "../end-run.ts";
import { note, whileBeating } from "../journal.ts";
import type { BundlePlan } from "../seal/bundle.ts";
import { sealCell } from "../seal/seal.ts";

/** For tar, which may have to read `limits.disk` from a slow disk. */
const SEAL_MS = 60 * 60_000;

export async function seal(parts: Parts, job: RunnerJob<"seal">, signal: AbortSignal): Promise<Outcome> {
  const { cellId, run, user } = job.payload;
  const handle = parseHandle(job.payload.handle);
  // An attempt that was killed with us may have left its child at work in there; nobody else would ever end
  // it.
  if (job.attempt > 1) await endAll(parts, { cellId, run, user, handle });
  if (user !== null) await openWork(pathsOf(parts.cellDir(cellId)), user);
  await removeCopy(pathsOf(parts.cellDir(cellId)));
  const plan = {
    cellDir: parts.cellDir(cellId),
    at: toIso(parts.clock.now()),
    seal: job.key,
    bundle: await bundlePlan(parts, job, signal),
    path: parts.config.childPath,
    limits: { ...parts.workLimits, mostMs: SEAL_MS },
    signal,
  };
  await removeSigningKey(plan.cellDir);
  await clearChecks(plan.cellDir);
  const bytes = await whileBeating(parts, cellId, "sealing", () => sealCell(parts.git, plan));
  await endWhatStayed(parts, { cellId, run, user, handle });
  await parts.quarantine.remove(cellId);
  await parts.quarantine.remove(sealingOf(cellId));
  await parts.groups.remove(cellId);
  parts.groups.forget(cellId);
  await note(parts, cellId, { what: "sealed", bytes });
  return { reports: [reportOf("sealed", { cellId, bytes }, job.key)] };
}

/**
 * A place of its own in quarantine: a push of the same tip that was asked for twice may still be clearing the
 * cell's away.
 */
export function sealingOf(cellId: string): string {
  return `${cellId}.seal`;
}

async function bundlePlan(parts: Parts, job: RunnerJob<"seal">, signal: AbortSignal): Promise<BundlePlan> {
  const { cellId, repository, baseCommit, user, agent: name, handle } = job.payload;
  const agent = name === null ? undefined : parts.config.agents.get(name);
  const paths = pathsOf(parts.cellDir(cellId));
  const cell = { id: cellId, paths, mirror: parts.mirrors.path(repository), user };
  const backend = parseHandle(handle)?.backend ?? agent?.backend ?? "process";
  // As root we would be asking with our own rights.
  const mayAsk =
    name !== null && (user !== null || !parts.asRoot) && (await whatIs(paths.worktree)) === "directory";
  const child = () => ({
    backend: backendNamed(parts, backend),
    surroundings: surroundingsOf(cell, agent ?? unknownAgent(name ?? ""), {
      role: "executor",
      path: parts.config.childPath,
    }),
  });
  return {
    cellId,
    baseCommit,
    mirror: cell.mirror,
    child: mayAsk ? child() : null,
    scratchPath: await parts.quarantine.prepare(sealingOf(cellId)),
    freeBytes: parts.config.limits.freeBytes,
    signal,
  };
}
