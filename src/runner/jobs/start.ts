import { join } from "node:path";
import { oomKills } from "../../backends/os/proc.ts";
import { logNameOf } from "../../cells/names.ts";
import { toIso } from "../../clock.ts";
import { explain, explainToPeople, isRetryable } from "../../errors.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { SetupBegun } from "../../protocol/shapes.ts";
import type { PlannedCommand } from "../commands/planned-commands.ts";
import { backendNamed, type Parts } from "../context.ts";
import { noteInDaemonLog, pathsOf, prepareRoot, writeHeartbeat } from "../disk/directory.ts";
import { note } from "../journal.ts";
import { type Started, startRunOf } from "../start-run.ts";

export async function start(parts: Parts, job: RunnerJob<"start">, signal: AbortSignal): Promise<Outcome> {
  const { cell, run, agent: name } = job.payload;
  const refused = (why: string): Outcome => ({
    reports: [reportOf("run-refused", { cellId: cell.id, run, why: parts.redact(why) })],
  });
  const agent = parts.config.agents.get(name);
  if (agent === undefined) return refused(`there is no agent ${name} in the configuration any more`);
  if (agent.unavailable !== null) return refused(`${name} cannot be started: ${agent.unavailable}`);
  if (!parts.backends.has(agent.backend))
    return refused(`${name} cannot be started: there is no backend ${agent.backend} here`);
  const callOff = parts.watch.expect(cell.id);
  try {
    await prepare(parts);
    const backend = backendNamed(parts, agent.backend);
    const { missionsDir, childPath, limits } = parts.config;
    const room = { diskBytes: limits.diskBytes, limits: parts.workLimits };
    const deps = { ...parts, missionsDir, childPath, ...room };
    const killed = oomKills();
    parts.groups.forget(cell.id);
    const groupKilled = parts.groups.memoryKills(cell.id)?.kills ?? 0;
    const begun = await startRunOf(deps, { payload: job.payload, agent, backend }, signal);
    if (begun.kind === "setup") {
      callOff();
      return await setupStarted(parts, job.payload, begun);
    }
    const handle = { ...begun.handle, oomKills: killed, groupOomKills: groupKilled };
    const { prompt } = begun;
    const { startedAt } = handle;
    await tellStarted(parts, { payload: job.payload, startedAt });
    const logPath = join(pathsOf(parts.cellDir(cell.id)).logs, logNameOf(name, run));
    // Control has it watched as soon as it has written the start down: here, or where it was killed in
    // between, when it starts again.
    const secrets = Object.entries(agent.env).map(([name, value]) => ({
      name,
      mark: parts.heartbeats.markOf(name, value),
    }));
    const payload = { cellId: cell.id, run, handle: { ...handle }, startedAt, logPath, prompt, secrets };
    return { reports: [reportOf("run-started", payload)] };
  } catch (error) {
    callOff();
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    return refused(explainToPeople(error));
  }
}

/** A disk that is as good as full gets the trees back that wait for later cells. */
async function prepare({ config: { missionsDir, limits }, spares }: Parts): Promise<void> {
  await prepareRoot(missionsDir, limits.freeBytes).catch(async (error: unknown) => {
    if ((await spares.clear()) === 0) throw error;
    await prepareRoot(missionsDir, limits.freeBytes);
  });
}

/** Its cell is being set up: the run is asked for again when that has ended well. */
async function setupStarted(
  parts: Parts,
  { cell, run }: JobPayload<"start">,
  { plan, handle }: Extract<Started, { kind: "setup" }>,
): Promise<Outcome> {
  const { run: command, digest, source, network, limitMs } = plan;
  const { startedAt } = handle;
  const setup = { command: parts.redact(command), digest, source, network, limitMs, startedAt };
  await note(parts, cell.id, { what: "setup started", run, command: setup.command, source });
  const payload = {
    cellId: cell.id,
    run,
    setup: { ...setup, network: listOf(network), handle: { ...handle } },
  };
  return { reports: [reportOf("setup-started", payload)] };
}

function listOf(network: PlannedCommand["network"]): SetupBegun["network"] {
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
