import type { Cell } from "../cells/cell.ts";
import { parseDuration } from "../units.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

const LONGEST_MS = 90 * 24 * 60 * 60_000;
const SHORTEST_MS = 60_000;

export const extend: Verb = {
  name: "extend",
  summary: "gives a cell more time: moves the end of its TTL",
  usage: "extend [CELL] 4h",
  examples: ["extend 4h", "extend 4f1c0b7e 2d"],
  who: "director",
  flags: {},
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "lifecycle" | "clock">) {
    const [first, second, ...more] = command.words;
    const typed = second ?? first;
    if (typed === undefined || more.length > 0) return refuse("usage", replies.usage(extend.usage));
    const byMs = parseDuration(typed);
    if (byMs === null || byMs < SHORTEST_MS) return refuse("usage", replies.badExtension(typed));
    const cellWord = second === undefined ? null : (first ?? null);
    const need = { verb: "extend", words: typed, role: "director", fits: hasEnd } as const;
    const found = await findCell(cellWord, need, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!hasEnd(cell)) return refuse("refused", replies.cannotExtend(cell));
    const expiresAt = cell.expiresAt + byMs;
    if (expiresAt - deps.clock.now() > LONGEST_MS) return refuse("usage", replies.extendsTooFar(cell));
    return {
      kind: "done",
      line: replies.extended({ ...cell, expiresAt }),
      data: { id: cell.id, expires_at: new Date(expiresAt).toISOString() },
      effects: () => deps.lifecycle.extend(cell, expiresAt),
    };
  },
};

function hasEnd(cell: Cell): boolean {
  return cell.state === "proposed" || cell.state === "active" || cell.state === "idle";
}
