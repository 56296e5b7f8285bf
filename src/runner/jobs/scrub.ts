import { LazarusError } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { type Parts, parseHandle } from "../context.ts";
import { whatIs } from "../disk/directory.ts";
import { leftOf, scrubCell } from "../disk/remove-tree.ts";
import { endAll } from "../end-run.ts";
import { sealingOf } from "./seal.ts";

export async function scrub(parts: Parts, job: RunnerJob<"scrub">): Promise<Outcome> {
  await removeCell(parts, job.payload);
  return { reports: [reportOf("scrubbed", { cellId: job.payload.cellId }, job.key)] };
}

type Gone = RunnerJob<"scrub">["payload"];

/** Ends what lives in a cell, and removes all of it from this machine. */
export async function removeCell(parts: Parts, payload: Gone): Promise<void> {
  const { cellId, repository, user } = payload;
  const release = await parts.watch.hold(cellId, "the cell was destroyed");
  const letGo = await parts.commands.hold(cellId);
  try {
    const handle = parseHandle(payload.handle);
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
    await parts.groups.remove(cellId);
    parts.groups.forget(cellId);
    await scrubCell(parts.config.missionsDir, cellId);
    await parts.quarantine.remove(cellId);
    await parts.quarantine.remove(sealingOf(cellId));
    await parts.mirrors.release(repository, cellId);
    await proveGone(parts, payload);
    parts.watch.remove(cellId);
    parts.commands.remove(cellId);
  } finally {
    release();
    letGo();
  }
}

/** Looks again, wherever something of a cell ever lies: only what is not there was destroyed. */
async function proveGone(parts: Parts, { cellId, repository }: Gone): Promise<void> {
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
