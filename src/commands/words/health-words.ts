import type { Cell } from "../../cells/cell.ts";
import { join, type Markdown, md } from "../../gitea/markdown.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
import { timeUtc } from "./run-words.ts";

/** How a running cell is, as far as anybody has looked. */
export interface SeenHealth {
  readonly health: NonNullable<Cell["health"]>;
  readonly reason: string;
  /** Epoch ms. */
  readonly since: number;
  readonly seenAt: number;
}

/** Null where no run is in progress, or nobody has looked at it yet. */
export function healthOf(cell: Cell): SeenHealth | null {
  const { health, healthReason, healthSince, seenAt } = cell;
  if (cell.state !== "active" && cell.state !== "closing") return null;
  if (health === null || healthReason === null || healthSince === null || seenAt === null) return null;
  return { health, reason: healthReason, since: healthSince, seenAt };
}

/**
 * What is wrong, as the first words of a card: `allegro is stalled since 14:31 UTC: no output, no change,
 * process alive`. Null where it works.
 */
export function ailment(cell: Cell, agent: string): Markdown | null {
  const seen = healthOf(cell);
  if (seen === null) return null;
  switch (seen.health) {
    case "healthy":
    case "quiet":
      return null;
    case "stalled":
    case "looping":
      return md`**${agent} is ${seen.health} since ${timeUtc(seen.since, cell.createdAt)}**: ${seen.reason}`;
    case "dead":
      return md`**${agent} is dead**: ${seen.reason}`;
    default:
      return seen.health satisfies never;
  }
}

/** The card's line of what the agent says of itself, and since when it is quiet; null: neither. */
export function lifeLine(cell: Cell, agent: string): Markdown | null {
  const seen = healthOf(cell);
  if (seen === null) return null;
  const since = timeUtc(seen.since, cell.createdAt);
  const lines = [
    ...(seen.health === "quiet" ? [md`Quiet since ${since}: ${seen.reason}`] : []),
    ...(cell.beat === null ? [] : [beatWords(cell.beat, { agent, cell })]),
  ];
  return lines.length === 0 ? null : join(lines, " · ");
}

/** `allegro says: testing, 3 of 7 suites, 43 % (14:12 UTC)`. */
function beatWords(beat: AgentBeat, { agent, cell }: { agent: string; cell: Cell }): Markdown {
  const who = beat.by === "gateway" ? `${agent}'s gateway` : agent;
  const words = [beat.state, ...(beat.message === null ? [] : [beat.message]), ...progressOf(beat.progress)];
  return md`${who} says: ${words.join(", ")} (${timeUtc(beat.at, cell.createdAt)})`;
}

function progressOf(progress: AgentBeat["progress"]): string[] {
  if (progress === null) return [];
  return [typeof progress === "number" ? `${Math.round(progress * 100)} %` : progress];
}

/** One word of why, for a table. */
export function briefly(health: SeenHealth["health"]): string {
  switch (health) {
    case "healthy":
      return "well";
    case "quiet":
    case "stalled":
      return "silent";
    case "looping":
      return "repeats itself";
    case "dead":
      return "process gone";
    default:
      return health satisfies never;
  }
}
