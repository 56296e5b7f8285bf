import * as z from "zod";
import { clean, fence, oneLine } from "../protocol/agent-text.ts";
import type { Harvest } from "../protocol/shapes.ts";

const MOST_COMMITS = 30;

/** What a run left whoever works in the cell next: what was found of its work, and its own words. */
export const left = z.object({
  tip: z.string().nullable(),
  /** Its own, the newest first, cut. */
  commits: z.array(z.object({ hash: z.string(), subject: z.string() })),
  /** What it wrote into the hand-over file; null: nothing. */
  packet: z.string().nullable(),
  /** Its report for the reviewers; null: none. */
  report: z.string().nullable(),
});
export type Left = z.infer<typeof left>;

/** The headings of a hand-over, in their order. */
export const PACKET_HEADINGS = ["Done", "Open", "Check", "Mind"] as const;

/** What a run left, by what was found of it; `before`: the tip that it started from. Pure. */
export function leftBy(harvest: Harvest, packet: string | null, before: string | null): Left {
  const { tip, commits, report } = harvest;
  const known = before === null ? -1 : commits.findIndex((one) => one.hash === before);
  const own = tip === before ? [] : known < 0 ? commits : commits.slice(0, known);
  return {
    tip,
    commits: own.slice(0, MOST_COMMITS).map(({ hash, subject }) => ({ hash, subject })),
    packet,
    report,
  };
}

/** What the next one is told of the one before: first what Lazarus found, then its own words. Pure. */
export function handoffText(agent: string, { tip, commits, packet }: Left, ended: string): string {
  const where = tip === null ? "The branch is where it was." : `The branch is at ${tip.slice(0, 12)}.`;
  const made =
    commits.length === 0
      ? `${agent} made no commit.`
      : `${agent} made ${commits.length === 1 ? "1 commit" : `${commits.length} commits`}:`;
  const list = commits.map(({ hash, subject }) => `${hash.slice(0, 10)} ${oneLine(subject)}`);
  const facts = [
    `## What ${agent} left (found by Lazarus)\n\n${where} ${agent}'s turn ended: ${ended}. ${made}`,
    ...(list.length === 0 ? [] : [fence(list.join("\n"))]),
  ].join("\n\n");
  if (packet === null) return `${facts}\n\n${agent} left no words for you.`;
  const missing = PACKET_HEADINGS.filter((one) => !new RegExp(`^##\\s+${one}\\s*$`, "m").test(packet));
  const note = missing.length === 0 ? "" : `\n\nIt says nothing under ${missing.join(", ")}.`;
  const check = "Check what is said there before you build on it. If nothing is left to do, say so and stop.";
  return `${facts}\n\n## What ${agent} says\n\n${fence(clean(packet))}${note}\n\n${check}`;
}
