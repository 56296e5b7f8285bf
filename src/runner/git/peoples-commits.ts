import type { PeoplePush } from "../../protocol/shapes.ts";
import type { Git } from "./git.ts";
import { parseCommit } from "./measure.ts";

const MOST_SHOWN = 20;

export interface PushedRange {
  readonly mirror: string;
  /** What the branch held as far as we knew. */
  readonly known: string;
  /** What it holds now. */
  readonly tip: string;
  readonly base: string;
}

/**
 * What people pushed to a branch, as the mirror has it: the newest of it, along the branch's own line, and
 * how much it is with what was merged into it. Null where they pushed nothing new, but took something away.
 */
export async function peoplesCommits(
  git: Git,
  { mirror, known, tip, base }: PushedRange,
): Promise<{ readonly count: number; readonly shown: PeoplePush["commits"] } | null> {
  const ask = (args: readonly string[]) =>
    git({ dir: mirror, args, doing: "looking at what people pushed", tolerant: true });
  // Where they rewrote it, what we pushed may be nowhere any more.
  const isThere = (await ask(["cat-file", "-e", `${known}^{commit}`])).code === 0;
  if (isThere && (await ask(["merge-base", "--is-ancestor", tip, known])).code === 0) return null;
  const span = [`^${isThere ? known : base}`, tip, "--"];
  const count = Number((await ask(["rev-list", "--count", ...span])).stdout.trim()) || 0;
  const format = "--format=%H%x01%an%x01%ct%x01%s";
  const log = await ask(["log", "-z", "--first-parent", `--max-count=${MOST_SHOWN}`, format, ...span]);
  const lines = log.stdout.split("\0").filter((line) => line.trim() !== "");
  return { count, shown: lines.map(parseCommit) };
}
