import type { Cell, Run } from "../../cells/cell.ts";
import type { Registry } from "../../cells/registry/registry.ts";

/** Where a cell's team stands. */
export interface TeamView {
  /** In the order of their turns; one alone where it is no team. */
  readonly agents: readonly string[];
  /** Those whose turn has not begun. */
  readonly waiting: readonly string[];
}

export function teamOf(cell: Pick<Cell, "id" | "agent">, registry: Pick<Registry, "team">): TeamView {
  return {
    agents: [cell.agent, ...registry.team.of(cell.id).map((one) => one.agent)],
    waiting: registry.team.waiting(cell.id).map((one) => one.agent),
  };
}

/** ` (2 of 3: allegro ✓, ezra, kimi)` after the name of whoever works; empty where it works alone. */
export function placeInTeam(agent: string, { agents, waiting }: TeamView): string {
  const at = agents.indexOf(agent);
  if (agents.length < 2 || at < 0) return "";
  const all = agents.map((one) => (one === agent || waiting.includes(one) ? one : `${one} ✓`));
  return ` (${at + 1} of ${agents.length}: ${all.join(", ")})`;
}

/** Who is to work after the run at hand, or would; null: nobody. */
export function nextInTeam(
  cell: Pick<Cell, "state" | "closing">,
  run: Run | null,
  { waiting }: TeamView,
): string | null {
  const isOver = cell.closing !== null || cell.state === "archived" || cell.state === "destroyed";
  if (waiting.length === 0 || isOver) return null;
  const isHeld = cell.state === "idle" && run?.state !== "waiting" && run?.state !== "admitted";
  return `then ${waiting.join(", ")}${isHeld ? " (held)" : ""}`;
}
