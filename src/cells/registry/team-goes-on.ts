import type { Registry } from "./registry.ts";

/** Whether the next agent of a team follows by itself: the one before it came to a good end. */
export function isGoingOnWithTeam(registry: Pick<Registry, "team" | "lastKeptRun">, cellId: string): boolean {
  const exit = registry.lastKeptRun(cellId)?.exitClass;
  return (exit === "done" || exit === "nothing-changed") && registry.team.waiting(cellId).length > 0;
}
