import type { Handle } from "../../backends/backend.ts";
import { checkLogOwner } from "../../cells/names.ts";
import type { AgentConfig } from "../../config/config.ts";
import { explainToPeople, isRetryable, LazarusError } from "../../errors.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { checkSurroundings, makePlace } from "../checks/check-place.ts";
import { type PlannedCommand, plannedCommands } from "../commands/planned-commands.ts";
import { commandGate, startCommand } from "../commands/start-command.ts";
import { backendNamed, type Parts } from "../context.ts";
import { pathsOf, prepareRoot } from "../disk/directory.ts";
import { CHECKS_HOME } from "../disk/home.ts";
import { note } from "../journal.ts";

const STATE = "checks";

/**
 * Begins a check of what a cell pushed, in a process that lives by itself as an agent's does, or finds it
 * begun.
 */
export async function check(parts: Parts, job: RunnerJob<"check">, signal: AbortSignal): Promise<Outcome> {
  const { cellId, check: n, agent: name } = job.payload;
  const refused = (why: string): Outcome => ({
    reports: [reportOf("check-refused", { cellId, check: n, why: parts.redact(why) })],
  });
  const agent = parts.config.agents.get(name);
  if (agent === undefined) return refused(`there is no agent ${name} any more, whose isolation it needs`);
  if (agent.unavailable !== null) return refused(agent.unavailable);
  try {
    await prepareRoot(parts.config.missionsDir, parts.config.limits.freeBytes);
    const plan = await planOf(parts, job.payload, signal);
    if (plan === null) return refused("its command changed in lazarus.yaml since it was planned");
    const handle = await begin(parts, { job, plan, agent }, signal);
    const { startedAt } = handle;
    const limitMs = Math.min(plan.limitMs, job.payload.mostMs);
    await note(parts, cellId, { what: "check started", check: n, name: plan.name });
    return {
      reports: [reportOf("check-started", { cellId, check: n, handle: { ...handle }, startedAt, limitMs })],
    };
  } catch (error) {
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    return refused(explainToPeople(error));
  }
}

/** Null where it is not the command that was planned. */
async function planOf(
  parts: Parts,
  payload: JobPayload<"check">,
  signal: AbortSignal,
): Promise<PlannedCommand | null> {
  const { setup, checks } = await plannedCommands(parts, payload, signal);
  const all = setup === null ? checks : [setup, ...checks];
  return all.find(({ name, digest }) => name === payload.name && digest === payload.digest) ?? null;
}

async function begin(
  parts: Parts,
  {
    job,
    plan,
    agent,
  }: { readonly job: RunnerJob<"check">; readonly plan: PlannedCommand; readonly agent: AgentConfig },
  signal: AbortSignal,
): Promise<Handle> {
  const { cellId, check: n, repository, user } = job.payload;
  const paths = pathsOf(parts.cellDir(cellId));
  const backend = backendNamed(parts, agent.backend);
  const usable = await backend.check();
  if (!usable.ok)
    throw new LazarusError("backend", `${backend.name} does not work here: ${usable.why}; ${usable.fix}`);
  const place = await makePlace(parts, job.payload, signal);
  const cell = { id: cellId, repository, user };
  const around = checkSurroundings(parts, cell, { ...plan, confines: agent, place });
  signal.throwIfAborted();
  await parts.gates.open(cellId, commandGate(agent, { home: CHECKS_HOME, network: plan.network }));
  parts.groups.forget(cellId);
  const groupOomKills = parts.groups.memoryKills(cellId)?.kills ?? 0;
  const command = { paths, around, run: plan.run, n, log: checkLogOwner(plan.name), state: STATE };
  const handle = await startCommand(backend, command);
  return { ...handle, groupOomKills };
}
