import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { oomKills } from "../backends/proc.ts";
import { toIso } from "../clock.ts";
import type { AgentConfig } from "../config.ts";
import { explain, explainToPeople, isRetryable, LazarusError, systemCode } from "../errors.ts";
import type { JobPayload } from "../queue/jobs.ts";
import type { Finish, Handlers, Job, JobContext } from "../queue/queue.ts";
import { createArchiveHandlers } from "./archive-work.ts";
import type { BeatWords } from "./beat.ts";
import { noteInDaemonLog, pathsOf, prepareRoot, whatIs, writeHeartbeat } from "./directory.ts";
import { cutLog } from "./log-cut.ts";
import { startRunOf } from "./run.ts";
import {
  backendNamed,
  createParts,
  endAll,
  type Parts,
  parseHandle,
  type RunnerDeps,
} from "./runner-parts.ts";
import { createWorkHandlers } from "./runner-work.ts";
import { removeTree, scrubCell } from "./scrub.ts";
import { logNameOf } from "./surroundings.ts";
import { endKey, endOf, noteEnd, type Running } from "./watch.ts";

export type { RunnerDeps } from "./runner-parts.ts";
export type { Running } from "./watch.ts";

type CellJobs =
  | "start"
  | "stop"
  | "collect"
  | "push"
  | "mark"
  | "tail"
  | "seal"
  | "restore"
  | "prune"
  | "scrub";

/** The side that touches directories, processes and git; it knows neither registry nor forge API, and says what happened by reports. */
export interface Runner {
  readonly handlers: Required<Pick<Handlers, CellJobs>>;
  /** Adopts runs that an earlier process started; each start adds its own, and what is watched already is left alone. Handles come from the registry. */
  watch(runs: readonly (Omit<Running, "handle"> & { readonly handle: Record<string, unknown> })[]): void;
  /** Takes a heartbeat of a cell's agent; false where no run of it is at work here. */
  hear(cellId: string, words: BeatWords): boolean;
  /** Before anything else, once: removes what an earlier process left half-made or half-deleted, and quarantines of cells that are not known. */
  sweep(knownIds: readonly string[]): Promise<void>;
  /** Stops watching. Agents go on. */
  close(): Promise<void>;
}

const OURS = /^\.(new|gone)-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** A runner on this host. Exactly one program may use `dataDir` and `missionsDir`. */
export function createRunner(deps: RunnerDeps): Runner {
  const parts = createParts(deps);
  return {
    handlers: {
      start: (job, context) => start(parts, job, context),
      stop: (job) => stop(parts, job),
      ...createWorkHandlers(parts),
      ...createArchiveHandlers(parts),
    },
    watch(runs) {
      for (const run of runs) {
        if (parts.watch.find(run.cellId)?.run === run.run) continue;
        const handle = parseHandle({ ...run.handle });
        if (handle === null) continue;
        parts.watch.add({ ...run, handle });
        const agent = parts.config.agents.get(run.agent);
        if (agent !== undefined) openAgain(parts, run.cellId, agent);
      }
    },
    hear: (cellId, words) => parts.watch.hear(cellId, words),
    sweep: (knownIds) => sweep(parts, knownIds),
    async close() {
      await parts.watch.close();
      await parts.gates.closeAll();
    },
  };
}

/** An agent that outlived us finds its way out again. */
function openAgain(parts: Parts, cellId: string, agent: AgentConfig): void {
  parts.gates.open(cellId, agent).catch((error: unknown) => {
    parts.log.warn(
      { cell: cellId, error: explain(error) },
      "the way to listed hosts could not be opened again",
    );
  });
}

async function start(parts: Parts, job: Job<"start">, context: JobContext): Promise<Finish> {
  const { cell, run, agent: name } = job.payload;
  const refused = (why: string): Finish => {
    const payload = { cellId: cell.id, run, why: parts.redact(why) };
    return () =>
      parts.report({
        kind: "run-refused",
        key: `${cell.id}:${run}:refused`,
        lane: `cell:${cell.id}`,
        payload,
      });
  };
  const agent = parts.config.agents.get(name);
  if (agent === undefined) return refused(`there is no agent ${name} in the configuration any more`);
  if (agent.unavailable !== null) return refused(`${name} cannot be started: ${agent.unavailable}`);
  if (!parts.backends.has(agent.backend))
    return refused(`${name} cannot be started: there is no backend ${agent.backend} here`);
  const callOff = parts.watch.expect(cell.id);
  try {
    await prepareRoot(parts.config.missionsDir, parts.config.limits.freeBytes);
    const backend = backendNamed(parts, agent.backend);
    const deps = { ...parts, missionsDir: parts.config.missionsDir, childPath: parts.config.childPath };
    const killed = oomKills();
    const begun = await startRunOf(deps, { payload: job.payload, agent, backend }, context.signal);
    const handle = { ...begun, oomKills: killed };
    const { startedAt } = handle;
    await tellStarted(parts, { payload: job.payload, startedAt });
    const logPath = join(pathsOf(parts.cellDir(cell.id)).logs, logNameOf(name, run));
    return () => {
      const payload = { cellId: cell.id, run, handle: { ...handle }, startedAt, logPath };
      parts.report({
        kind: "run-started",
        key: `${cell.id}:${run}:started`,
        lane: `cell:${cell.id}`,
        payload,
      });
      parts.watch.add({ cellId: cell.id, run, agent: name, handle, startedAt });
    };
  } catch (error) {
    callOff();
    context.signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    return refused(explainToPeople(error));
  }
}

/** The agent runs: whatever goes wrong here is no reason to say it does not. */
async function tellStarted(
  parts: Parts,
  { payload, startedAt }: { payload: JobPayload<"start">; startedAt: number },
): Promise<void> {
  const dir = parts.cellDir(payload.cell.id);
  const at = toIso(parts.clock.now());
  try {
    await writeHeartbeat(dir, { at, state: "running", by: "runner" });
    await noteInDaemonLog(dir, {
      at,
      what: "run started",
      run: payload.run,
      agent: payload.agent,
      started_at: toIso(startedAt),
    });
  } catch (error) {
    parts.log.warn(
      { cell: payload.cell.id, error: explain(error) },
      "the start of a run could not be noted in its cell",
    );
  }
}

async function stop(parts: Parts, job: Job<"stop">): Promise<Finish> {
  const { cellId, run, user, why } = job.payload;
  const release = await parts.watch.hold(cellId, why);
  try {
    const ended = await endAll(parts, { cellId, run, user, handle: parseHandle(job.payload.handle) });
    const seen = await ended.backend.observe(ended.handle);
    const end = endOf(seen, parts.clock.now());
    if (ended.began && (await whatIs(parts.cellDir(cellId))) === "directory") {
      const agent = parts.watch.find(cellId)?.agent ?? "the agent";
      await cutLastOutput(parts, { cellId, run, agent });
      await noteEnd(parts.cellDir(cellId), { at: toIso(parts.clock.now()), run, agent, ...end }).catch(
        (error: unknown) => {
          parts.log.warn(
            { cell: cellId, run, error: explain(error) },
            "the end of a run could not be noted in its cell",
          );
        },
      );
    }
    const payload = {
      cellId,
      run,
      began: ended.began,
      ...end,
      stopped: why,
      leftovers: [...ended.leftovers],
      refusedHosts: await parts.gates.close(cellId),
    };
    return () => {
      parts.report({ kind: "run-ended", key: endKey(cellId, run), lane: `cell:${cellId}`, payload });
      parts.watch.remove(cellId, run);
    };
  } finally {
    release();
  }
}

/** While a run is being stopped nobody looks at its log, and what it prints in its last seconds may be much. */
async function cutLastOutput(
  parts: Parts,
  { cellId, run, agent }: { cellId: string; run: number; agent: string },
): Promise<void> {
  const limits = parts.config.agents.get(agent)?.limits;
  if (limits === undefined) return;
  await cutLog(parts.cellDir(cellId), logNameOf(agent, run), limits.logBytes).catch((error: unknown) => {
    parts.log.warn({ cell: cellId, run, error: explain(error) }, "the log of a run could not be cut");
  });
}

async function sweep(parts: Parts, knownIds: readonly string[]): Promise<void> {
  const { missionsDir, dataDir } = parts.config;
  const tryTo = async (what: string, fn: () => Promise<void>) =>
    fn().catch((error: unknown) =>
      parts.log.warn(
        { what, error: explain(error) },
        "could not be cleaned up; it is tried again at the next start",
      ),
    );
  for (const name of await namesIn(missionsDir)) {
    const [, kind, id] = OURS.exec(name) ?? [];
    if (kind === "new") await tryTo(name, () => removeTree(missionsDir, name));
    if (kind === "gone" && id !== undefined) await tryTo(name, () => finishScrub(missionsDir, id));
  }
  const known = new Set(knownIds);
  for (const id of await namesIn(join(dataDir, "quarantine"))) {
    if (!known.has(id)) await tryTo(`quarantine ${id}`, () => parts.quarantine.remove(id));
  }
}

/** What was renamed for its deletion is deleted; a cell of that id that is there all the same is another matter. */
async function finishScrub(missionsDir: string, id: string): Promise<void> {
  if ((await whatIs(join(missionsDir, id))) === "nothing") return scrubCell(missionsDir, id);
  return removeTree(missionsDir, `.gone-${id}`);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return [];
    throw new LazarusError("directory", `looking into ${dir}`, { cause: error, retryable: true });
  }
}
