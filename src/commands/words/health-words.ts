import type { Cell } from "../../cells/cell.ts";
import { type Markdown, md, raw } from "../../gitea/markdown.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
import { span } from "./run-words.ts";

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
 * What is wrong, as the first words of a card: `allegro has been stalled for 11 min: no output, no change,
 * process alive`. Null where it works.
 */
export function ailment(cell: Cell, agent: string, now: number): Markdown | null {
  const seen = healthOf(cell);
  if (seen === null) return null;
  const forHow = span(now - seen.since);
  switch (seen.health) {
    case "healthy":
    case "quiet":
      return null;
    case "stalled":
    case "looping":
      return md`**${agent} has been ${seen.health} for ${forHow}**: ${seen.reason}`;
    case "dead":
      return md`**${agent} is dead**: ${seen.reason}`;
    default:
      return seen.health satisfies never;
  }
}

/** The card's line of signs of life, with what the agent says of itself. */
export function lifeLine(cell: Cell, agent: string, now: number): Markdown | null {
  const seen = healthOf(cell);
  if (seen === null) return null;
  const quiet = seen.health === "quiet" ? md`Quiet: ${seen.reason} · ` : raw("");
  const life = md`${quiet}Last sign of life ${span(now - seen.seenAt)} ago`;
  return cell.beat === null ? life : md`${life} · ${beatWords(cell.beat, agent, now)}`;
}

/** `allegro says: testing, 3 of 7 suites, 43 %`. */
function beatWords(beat: AgentBeat, agent: string, now: number): Markdown {
  const who = beat.by === "gateway" ? `${agent}'s gateway` : agent;
  const words = [beat.state, ...(beat.message === null ? [] : [beat.message]), ...progressOf(beat.progress)];
  const ago = now - beat.at;
  return md`${who} says: ${words.join(", ")}${ago >= OLD_MS ? ` (${span(ago)} ago)` : ""}`;
}

/** What was said longer ago is said with its age. */
const OLD_MS = 2 * 60_000;

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
