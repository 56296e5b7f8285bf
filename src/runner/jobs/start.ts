import { join } from "node:path";
import { oomKills } from "../../backends/os/proc.ts";
import { logNameOf } from "../../cells/names.ts";
import { toIso } from "../../clock.ts";
import { explain, explainToPeople, isRetryable } from "../../errors.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import type { SetupBegun } from "../../protocol/shapes.ts";
import type { Finish, Job, JobContext } from "../../queue/queue.ts";
import { backendNamed, type Parts } from "../context.ts";
import { noteInDaemonLog, pathsOf, prepareRoot, writeHeartbeat } from "../disk/directory.ts";
import { note } from "../journal.ts";
import type { SetupPlan } from "../setup/setup-plan.ts";
import { type Started, startRunOf } from "../start-run.ts";

export async function start(parts: Parts, job: Job<"start">, context: JobContext): Promise<Finish> {
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
    if (begun.kind === "setup") {
      callOff();
      return await setupStarted(parts, job.payload, begun);
    }
    const handle = { ...begun.handle, oomKills: killed };
    const { prompt } = begun;
    const { startedAt } = handle;
    await tellStarted(parts, { payload: job.payload, startedAt });
    const logPath = join(pathsOf(parts.cellDir(cell.id)).logs, logNameOf(name, run));
    return () => {
      const payload = { cellId: cell.id, run, handle: { ...handle }, startedAt, logPath, prompt };
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

/** Its cell is being set up: the run is asked for again when that has ended well. */
async function setupStarted(
  parts: Parts,
  { cell, run, agent }: JobPayload<"start">,
  { plan, handle }: Extract<Started, { kind: "setup" }>,
): Promise<Finish> {
  const { run: command, digest, source, network, limitMs } = plan;
  const { startedAt } = handle;
  const setup = { command: parts.redact(command), digest, source, network, limitMs, startedAt };
  await note(parts, cell.id, { what: "setup started", run, command: setup.command, source });
  return () => {
    parts.report({
      kind: "setup-started",
      key: `${cell.id}:${run}:setup-started`,
      lane: `cell:${cell.id}`,
      payload: { cellId: cell.id, run, setup: { ...setup, network: listOf(network), handle: { ...handle } } },
    });
    parts.setups.add({ cell, run, agent, setup: { ...setup, network: listOf(network) }, handle });
  };
}

function listOf(network: SetupPlan["network"]): SetupBegun["network"] {
  return typeof network === "string" ? network : [...network];
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
      { cell: payload.cell.id, why: explain(error) },
      "the start of a run could not be noted in its cell",
    );
  }
}
