import { explainToPeople, isRetryable } from "../../errors.ts";
import type { PlannedCheck } from "../../protocol/checks.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { clearChecks } from "../checks/check-place.ts";
import { type PlannedCommand, plannedCommands } from "../commands/planned-commands.ts";
import type { Parts } from "../context.ts";
import { note } from "../journal.ts";

/**
 * Finds out which checks there are for what a cell pushed, and clears away what earlier ones left. A file of
 * the repository that cannot be used is an answer, not an error.
 */
export async function planChecks(
  parts: Parts,
  job: RunnerJob<"plan-checks">,
  signal: AbortSignal,
): Promise<Outcome> {
  const { cellId, tip } = job.payload;
  await clearChecks(parts.cellDir(cellId));
  const answer = (found: Omit<Parameters<typeof reportOf<"checks-planned">>[1], "cellId" | "tip">) => ({
    reports: [reportOf("checks-planned", { cellId, tip, ...found }, job.key)],
  });
  try {
    const { setup, checks, faults } = await plannedCommands(parts, job.payload, signal);
    const all = checks.length === 0 ? [] : [...(setup === null ? [] : [setup]), ...checks];
    await note(parts, cellId, { what: "checks planned", tip, checks: all.map((one) => one.name) });
    return answer({
      checks: all.map((one) => toPlanned(one, parts)),
      faults: faults.map(({ name, why }) => ({ name, why: parts.redact(why) })),
      trouble: null,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    return answer({ checks: [], faults: [], trouble: parts.redact(explainToPeople(error)) });
  }
}

function toPlanned(one: PlannedCommand, { redact }: Pick<Parts, "redact">): PlannedCheck {
  const { name, run, source, digest, network, limitMs } = one;
  const hosts = typeof network === "string" ? network : [...network];
  return { name, command: redact(run), source, digest, network: hosts, limitMs };
}
