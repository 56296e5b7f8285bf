import { heldFor } from "../cells/steps/decide.ts";
import { findCell } from "../commands/access/find-cell.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { replies } from "../commands/words/replies.ts";
import type { Config } from "../config/config.ts";
import { openParts } from "../control.ts";
import { silentLog } from "../log.ts";
import { showUnpublished } from "../runner/unpublished.ts";
import { prepareDataDir } from "../store/lock.ts";
import { plain } from "../visible.ts";
import { operatorOrigin, refusedAnswer } from "./ask.ts";
import { unhidden } from "./unhidden.ts";

/** More than this is not printed. */
const MOST_BYTES = 16 * 1024 ** 2;

/**
 * Answers `diff CELL`: what is held back, or not published yet, secrets hidden. It works with and without a
 * server.
 */
export async function readDiff(config: Config, typed: string): Promise<StoredAnswer> {
  prepareDataDir(config.dataDir);
  const parts = openParts(config, { log: silentLog });
  try {
    const at = { origin: operatorOrigin(), deps: parts.deps };
    const found = await findCell(typed, { verb: "diff", role: "executor" }, at);
    if ("refusal" in found) {
      if (found.refusal.kind !== "refused") throw new TypeError("a cell that is not found is a refusal");
      return refusedAnswer(found.refusal.code, found.refusal.reply.text);
    }
    const { cell } = found;
    const { harvest } = cell;
    const isPublished = harvest?.tip != null && harvest.tip === cell.publishedTip;
    if (cell.state === "destroyed" || harvest === null || !harvest.changed || isPublished)
      return { exitCode: 0, text: replies.nothingUnpublished(cell).text, data: { id: cell.id, diff: "" } };
    const hidden = unhidden(parts.registry.runs(cell.id), config);
    if (hidden !== null) return refusedAnswer("failed", `The diff is not shown: ${hidden}.`);
    const { id: cellId, repository, baseCommit, publishedTip } = cell;
    const work = { cellId, repository, baseCommit, publishedTip, maxBytes: MOST_BYTES };
    const { text, isCut } = await showUnpublished(config, parts.redactor.redact, work);
    const data = { id: cellId, held_back: heldFor(cell), diff: text, truncated: isCut };
    return { exitCode: 0, text: plain(text).trimEnd(), data };
  } finally {
    parts.db.close();
  }
}
