import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { toIso } from "../clock.ts";
import { explainToPeople, isRetryable, LazarusError } from "../errors.ts";
import type { Finish, Handlers, Job, JobContext } from "../queue/queue.ts";
import { note, whileBeating } from "./cell-notes.ts";
import { directoryError, pathsOf, whatIs } from "./directory.ts";
import { below, inDirectory, openDirectory } from "./inside.ts";
import { clearRestored, readManifest, restoredFor, settleSeal } from "./manifest.ts";
import { writeMission } from "./mission.ts";
import { ASIDE, restoreCell } from "./restore.ts";
import { backendNamed, endAll, type Parts, parseHandle } from "./runner-parts.ts";
import { unknownAgent } from "./runner-work.ts";
import { leftOf, removeTree, scrubCell } from "./scrub.ts";
import { sealCell } from "./seal.ts";
import type { BundlePlan } from "./seal-bundle.ts";
import { surroundingsOf } from "./surroundings.ts";

type ArchiveJobs = "seal" | "restore" | "prune" | "scrub";

/** What is done to a cell when it is put away, brought back, or destroyed. */
export function createArchiveHandlers(parts: Parts): Required<Pick<Handlers, ArchiveJobs>> {
  return {
    seal: (job, context) => seal(parts, job, context),
    restore: (job, context) => restore(parts, job, context),
    prune: (job) => prune(parts, job),
    scrub: (job) => scrub(parts, job),
  };
}

async function seal(parts: Parts, job: Job<"seal">, context: JobContext): Promise<Finish> {
  const { cellId, run, user } = job.payload;
  const handle = parseHandle(job.payload.handle);
  // An attempt that was killed with us may have left its child at work in there; nobody else would ever end it.
  if (job.attempt > 1) await endAll(parts, { cellId, run, user, handle });
  const plan = {
    cellDir: parts.cellDir(cellId),
    at: toIso(parts.clock.now()),
    seal: job.key,
    bundle: await bundlePlan(parts, job, context),
    path: parts.config.childPath,
    signal: context.signal,
  };
  const bytes = await whileBeating(parts, cellId, "sealing", () => sealCell(parts.git, plan));
  await parts.quarantine.remove(cellId);
  await parts.quarantine.remove(sealingOf(cellId));
  await note(parts, cellId, { what: "sealed", bytes });
  return () =>
    parts.report({
      kind: "sealed",
      key: `${job.key}:sealed`,
      lane: `cell:${cellId}`,
      payload: { cellId, bytes },
    });
}

/** A place of its own in quarantine: a push of the same tip that was asked for twice may still be clearing the cell's away. */
function sealingOf(cellId: string): string {
  return `${cellId}.seal`;
}

async function bundlePlan(parts: Parts, job: Job<"seal">, context: JobContext): Promise<BundlePlan> {
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
    signal: context.signal,
  };
}

async function restore(parts: Parts, job: Job<"restore">, context: JobContext): Promise<Finish> {
  const { cellId, run, repository, user, baseCommit, baseRef } = job.payload;
  const lane = `cell:${cellId}`;
  try {
    // The worktree borrows the mirror's objects: without them there is no use in it.
    const want = { commit: baseCommit, ref: baseRef, group: user?.groups[0] ?? null };
    await parts.mirrors.provide(repository, want, context.signal);
    await parts.mirrors.keep(repository, cellId, baseCommit);
    const plan = {
      cellDir: parts.cellDir(cellId),
      run,
      user,
      freeBytes: parts.config.limits.freeBytes,
      path: parts.config.childPath,
      signal: context.signal,
    };
    const entries = await restoreCell(plan);
    await note(parts, cellId, { what: "restored", run, entries });
  } catch (error) {
    context.signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    const why = parts.redact(explainToPeople(error));
    await note(parts, cellId, { what: "not restored", run, why });
    const payload = { cellId, run, why };
    return () => parts.report({ kind: "restore-refused", key: `${job.key}:refused`, lane, payload });
  }
  const payload = { cellId, run };
  return () => parts.report({ kind: "restored", key: `${job.key}:restored`, lane, payload });
}

/** Empties a cell of what its seal holds, unless it was brought back from that seal for another run than the one that came to nothing. */
async function prune(parts: Parts, job: Job<"prune">): Promise<Finish | undefined> {
  const { cellId, mission, run } = job.payload;
  const dir = parts.cellDir(cellId);
  if ((await whatIs(dir)) === "nothing") return undefined;
  const found = await inDirectory(dir, ["archive"], async (archive) => {
    await settleSeal(archive);
    if ((await readManifest(archive)) === null) return "none";
    const restored = await restoredFor(archive);
    if (restored !== null && restored !== run) return "in use";
    await clearRestored(archive);
    return "whole";
  });
  if (found === "in use") return undefined;
  if (found !== "whole") {
    throw new LazarusError("directory", `emptying cell ${cellId}: it has no seal, so nothing is thrown away`);
  }
  await removeTree(dir, ASIDE);
  for (const name of ["worktree", "home"]) await makeEmpty(dir, name);
  await note(parts, cellId, { what: "pruned" });
  await writeMission(parts, cellId, mission);
  return undefined;
}

async function makeEmpty(cellDir: string, name: string): Promise<void> {
  try {
    const cell = await openDirectory(cellDir);
    try {
      await removeTree(`/proc/self/fd/${cell.fd}`, name);
      await mkdir(below(cell, name), { mode: 0o700 });
      await cell.sync();
    } finally {
      await cell.close();
    }
  } catch (error) {
    throw directoryError(error, `emptying ${join(cellDir, name)}`);
  }
}

async function scrub(parts: Parts, job: Job<"scrub">): Promise<Finish> {
  const { cellId, repository, user } = job.payload;
  const release = await parts.watch.hold(cellId, "the cell was destroyed");
  try {
    const handle = parseHandle(job.payload.handle);
    const { leftovers } = await endAll(parts, {
      cellId,
      run: handle?.run ?? parts.watch.find(cellId)?.run ?? 0,
      handle,
      user,
    });
    if (leftovers.length > 0) {
      const names = leftovers.map((one) => `${one.pid} ${one.command}`).join(", ");
      throw new LazarusError("backend", `destroying cell ${cellId}: still alive: ${parts.redact(names)}`, {
        retryable: true,
      });
    }
    await parts.gates.close(cellId);
    await scrubCell(parts.config.missionsDir, cellId);
    await parts.quarantine.remove(cellId);
    await parts.quarantine.remove(sealingOf(cellId));
    await parts.mirrors.release(repository, cellId);
    await proveGone(parts, job);
    parts.watch.remove(cellId);
    return () =>
      parts.report({
        kind: "scrubbed",
        key: `${job.key}:scrubbed`,
        lane: `cell:${cellId}`,
        payload: { cellId },
      });
  } finally {
    release();
  }
}

/** Looks again, wherever something of a cell ever lies: only what is not there was destroyed. */
async function proveGone(parts: Parts, { payload: { cellId, repository } }: Job<"scrub">): Promise<void> {
  const left = [
    ...(await leftOf(parts.config.missionsDir, cellId)),
    ...((await whatIs(parts.quarantine.dir(cellId))) === "nothing" ? [] : [parts.quarantine.dir(cellId)]),
    ...(await parts.mirrors.keptFor(repository, cellId)),
  ];
  if (left.length === 0) return;
  const more = left.length > MOST_NAMED ? `, and ${left.length - MOST_NAMED} more` : "";
  throw new LazarusError(
    "directory",
    `destroying cell ${cellId}: ${left.slice(0, MOST_NAMED).join(", ")}${more} is still there`,
    { retryable: true },
  );
}

const MOST_NAMED = 10;
