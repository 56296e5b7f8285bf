import { findCell } from "./access/find-cell.ts";
import { refuse, type Verb } from "./command.ts";
import { itemsTable } from "./words/answer-words.ts";
import { viewOf } from "./words/cell-view.ts";
import { replies } from "./words/replies.ts";

export const items: Verb = {
  name: "items",
  summary: "the numbered points of reviews, and what became of each",
  usage: "items [CELL]",
  examples: ["items", "items 4f1c0b7e"],
  who: "read",
  flags: {},
  isReadOnly: true,
  async run(command, origin, deps) {
    const need = { verb: "items", role: "observer" } as const;
    const found = await findCell(command.words[0] ?? null, need, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const all = deps.registry.items.of(cell.id);
    if (all.length === 0) return refuse("not-found", replies.noItems(cell));
    const reply = itemsTable(all);
    const { id, items: shown } = viewOf(cell, deps);
    return { kind: "done", reply, line: reply, data: { id, items: shown } };
  },
};
