import * as z from "zod";
import type { Registry } from "../../cells/registry/registry.ts";
import { LazarusError } from "../../errors.ts";
import type { CommitStatus } from "../../gitea/port.ts";
import { sha256 } from "../../hash.ts";
import type { Handlers } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { statusesOf, statusGivenUp } from "../words/check-words.ts";

/** A commit that no branch of ours holds, and that the forge fails over so often, is not there any more. */
const MOST_TRIES = 3;

/**
 * Handler of the statuses that a cell's checks have at the commit. Each is sent once as it is: what was sent
 * last is remembered by its context. Where a newer commit took the place of one whose checks were not over,
 * its statuses say so. They are a sign for people and for branch rules; anybody who may write can set them
 * as well.
 */
export function createStatusesHandler(deps: PostDeps): Pick<Handlers, "statuses"> {
  return {
    async statuses(job) {
      const { cellId } = job.payload;
      const cell = deps.registry.cell(cellId);
      if (cell === null) return undefined;
      const { checked } = cell;
      const left = stillPending(deps.registry, cellId);
      if (checked === null && left === null) return undefined;
      const name = await confirm(cell.repository, deps);
      const card = cell.cardId === null ? cell.issueUrl : `${cell.issueUrl}#issuecomment-${cell.cardId}`;
      const sent: { tip: string; status: CommitStatus }[] = [];
      const send = async (tip: string, status: CommitStatus) => {
        if (deps.registry.rememberedText(keyOf(tip, status)) === markOf(status)) return;
        const isGone = async () =>
          job.attempt >= MOST_TRIES &&
          (await deps.forge.branch(name, cell.publishedBranch ?? cell.branch))?.commit !== tip;
        await tolerateRefusal(() => deps.forge.setStatus(name, tip, status), isGone);
        sent.push({ tip, status });
      };
      if (left !== null && left.tip !== checked?.tip)
        for (const context of left.contexts) await send(left.tip, statusGivenUp(context, card));
      const statuses = checked === null ? [] : statusesOf(cell, deps.steps.checks.results(cell), card);
      for (const status of statuses) if (checked !== null) await send(checked.tip, status);
      return () => {
        for (const { tip, status } of sent) deps.registry.rememberText(keyOf(tip, status), markOf(status));
        const contexts = statuses.filter(({ state }) => state === "pending").map(({ context }) => context);
        const now: Pending = checked === null ? null : { tip: checked.tip, contexts };
        deps.registry.rememberText(pendingOf(cellId), JSON.stringify(now));
      };
    },
  };
}

const pending = z.object({ tip: z.string(), contexts: z.array(z.string()) }).nullable();
type Pending = z.infer<typeof pending>;

const keyOf = (tip: string, { context }: CommitStatus) => `status:${tip}:${context}`;
const markOf = (status: CommitStatus) => sha256(JSON.stringify(status));
const pendingOf = (cellId: string) => `pending-statuses:${cellId}`;

/** Which statuses of a cell said last that something is at work, and at which commit. */
function stillPending(registry: Registry, cellId: string): Pending {
  const written = registry.rememberedText(pendingOf(cellId));
  return written === null ? null : pending.parse(JSON.parse(written));
}

/**
 * A bot that may not write any more, or a commit that the forge does not have any more, which it answers as a
 * fault of its own: the table in the pull request says it all. `isGone` is asked where the forge failed.
 */
async function tolerateRefusal(call: () => Promise<void>, isGone: () => Promise<boolean>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof LazarusError)) throw error;
    if (!error.retryable && error.code === "forge-refused") return;
    if (error.code === "forge-unreachable" && (await isGone())) return;
    throw error;
  }
}
