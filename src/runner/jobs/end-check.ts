import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { clearHalfMade } from "../checks/check-place.ts";
import { type Parts, parseHandle } from "../context.ts";
import { endAll } from "../end-run.ts";
import { note } from "../journal.ts";

/** Ends a check that nobody waits for any more, also where nobody heard that it began. */
export async function endCheck(parts: Parts, job: RunnerJob<"end-check">): Promise<Outcome> {
  const { cellId, check, user, why } = job.payload;
  const letGo = await parts.commands.hold(cellId);
  try {
    const handle = parseHandle(job.payload.handle);
    // No run has the number 0: whatever lives in the cell now is the check.
    const { leftovers } = await endAll(parts, { cellId, run: 0, user, handle });
    await clearHalfMade(parts.cellDir(cellId));
    await parts.groups.remove(cellId);
    await note(parts, cellId, { what: "check stopped", check, why });
    const end = {
      ...{ endedAt: parts.clock.now(), code: null, signal: null, stopped: why },
      ...{ isOverTime: false, isOutOfMemory: false, tail: "" },
      refusedHosts: await parts.gates.close(cellId),
      leftovers: leftovers.map(({ pid, command }) => `${pid} ${command}`),
    };
    parts.commands.remove(cellId);
    return { reports: [reportOf("check-ended", { cellId, check, end })] };
  } finally {
    letGo();
  }
}
