import { logNameOf } from "../../cells/names.ts";
import { toIso } from "../../clock.ts";
import { explain } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { type Parts, parseHandle } from "../context.ts";
import { whatIs } from "../disk/directory.ts";
import { cutLog } from "../disk/log-cut.ts";
import { endAll } from "../end-run.ts";
import { endOf, noteEnd } from "../health/watch.ts";

export async function stop(parts: Parts, job: RunnerJob<"stop">): Promise<Outcome> {
  const { cellId, run, user, why } = job.payload;
  const release = await parts.watch.hold(cellId, why);
  const letGo = await parts.commands.hold(cellId);
  try {
    const ended = await endAll(parts, { cellId, run, user, handle: parseHandle(job.payload.handle) });
    await parts.groups.remove(cellId);
    const seen = await ended.backend.observe(ended.handle);
    const end = endOf(seen, parts.clock.now());
    if (ended.began && (await whatIs(parts.cellDir(cellId))) === "directory") {
      const agent = parts.watch.find(cellId)?.agent ?? "the agent";
      await cutLastOutput(parts, { cellId, run, agent });
      await noteEnd(parts.cellDir(cellId), { at: toIso(parts.clock.now()), run, agent, ...end }).catch(
        (error: unknown) => {
          parts.log.warn(
            { cell: cellId, run, why: explain(error) },
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
    // Nothing of it lives: should control never hear that, it asks again.
    parts.watch.remove(cellId, run);
    parts.commands.remove(cellId);
    return { reports: [reportOf("run-ended", payload)] };
  } finally {
    release();
    letGo();
  }
}

/**
 * While a run is being stopped nobody looks at its log, and what it prints in its last seconds may be much.
 */
async function cutLastOutput(
  parts: Parts,
  { cellId, run, agent }: { cellId: string; run: number; agent: string },
): Promise<void> {
  const limits = parts.config.agents.get(agent)?.limits;
  if (limits === undefined) return;
  await cutLog(parts.cellDir(cellId), logNameOf(agent, run), limits.logBytes).catch((error: unknown) => {
    parts.log.warn({ cell: cellId, run, why: explain(error) }, "the log of a run could not be cut");
  });
}
