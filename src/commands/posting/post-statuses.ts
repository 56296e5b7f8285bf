import { LazarusError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import type { Handlers } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { statusesOf } from "../words/check-words.ts";

/**
 * Handler of the statuses that a cell's checks have at the commit. Each is sent once as it is: what was sent
 * last is remembered by its context. They are a sign for people and for branch rules; anybody who may write
 * can set them as well.
 */
export function createStatusesHandler(deps: PostDeps): Pick<Handlers, "statuses"> {
  return {
    async statuses(job) {
      const { cellId } = job.payload;
      const cell = deps.registry.cell(cellId);
      if (cell === null || cell.checked === null || cell.state === "destroyed") return undefined;
      const name = await confirm(cell.repository, deps);
      const { tip } = cell.checked;
      const card = cell.cardId === null ? cell.issueUrl : `${cell.issueUrl}#issuecomment-${cell.cardId}`;
      const sent: [string, string][] = [];
      for (const status of statusesOf(cell, deps.steps.checks.results(cell), card)) {
        const key = `status:${tip}:${status.context}`;
        const mark = sha256(JSON.stringify(status));
        if (deps.registry.rememberedText(key) === mark) continue;
        await tolerateRefusal(() => deps.forge.setStatus(name, tip, status));
        sent.push([key, mark]);
      }
      return () => {
        for (const [key, mark] of sent) deps.registry.rememberText(key, mark);
      };
    },
  };
}

/** A commit that is gone, or a bot that may not write any more: the table in the pull request says it all. */
async function tolerateRefusal(call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof LazarusError) || error.retryable || error.code !== "forge-refused") throw error;
  }
}
