import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { NewLine } from "../fakes/forge/pull-acts.ts";
import { type ChaosRig, type EndState, until } from "./rig.ts";

const AT = { repo: "acme/app" };

/**
 * Commits in each turn, and answers what a review asks in the second one: 1 done, 2 declined, whatever else
 * there is not. `twice` is there if two of its turns were ever at work at once.
 */
export const ANSWERS = `exec 9>>"$out/lock"; flock -n 9 || echo twice >>"$out/twice"
cat "$LAZARUS_BRIEF" >"$out/asked-$LAZARUS_TURN"
seq 1 9 >work.txt; echo "$LAZARUS_TURN" >>work.txt; git add work.txt; git commit --quiet -m "turn $LAZARUS_TURN"
[ -z "\${LAZARUS_ANSWERS:-}" ] || printf '{"1": {"verdict": "done", "commit": "%s", "words": "so it is"}, "2": {"verdict": "declined", "words": "nobody reads it"}}' "$(git rev-parse HEAD)" >"$LAZARUS_ANSWERS"`;

/** What is asked for: one point of the whole, two at lines. */
const LINES: readonly NewLine[] = [
  { path: "work.txt", at: 5, body: "say five" },
  { path: "work.txt", at: 7, body: "say seven" },
];
export const POINTS = 3;

/** A cell with a draft, made by a server that is ended now. */
export async function drafted(rig: ChaosRig, until: Partial<EndState> = {}): Promise<number> {
  await rig.serve();
  await rig.say("/lazarus summon allegro");
  await rig.comesTo({ state: "idle", outcome: "done", ...until });
  await rig.lazarus.end();
  return Number(rig.cell().pull_request);
}

/** Dev asks for changes; answers the review's id. */
export async function askForChanges(rig: ChaosRig): Promise<number> {
  const number = Number(rig.cell().pull_request);
  const review = { state: "REQUEST_CHANGES", body: "Please say it.", lines: LINES } as const;
  return (await rig.standIn.people.review("dev", { ...AT, number }, review)).id;
}

export function itemsOf(rig: ChaosRig) {
  return rig.query<{ n: number; state: string; verdict: string | null; turn: number; answer_due: number }>(
    "SELECT n, state, verdict, turn, answer_due FROM items ORDER BY n",
  );
}

/** What the bot said on the draft: in its conversation, in reviews, and at lines. */
function said(rig: ChaosRig, number: number): string[] {
  const bot = rig.standIn.world.mustUser("lazarus").id;
  const repo = rig.standIn.world.mustRepository(AT.repo).id;
  return rig.standIn.world.comments
    .filter((one) => one.authorId === bot && one.repositoryId === repo && one.number === number)
    .map((one) => one.body);
}

function marksOf(bodies: readonly string[], mark: string): string[] {
  return bodies.flatMap((body) => new RegExp(`<!-- (lazarus:${mark}:\\S+) -->`).exec(body)?.[1] ?? []);
}

/**
 * Everything was asked once and answered once: one turn, one post with a table, one answer at each line, each
 * reaction once, dev asked again once, and never two turns at once.
 */
export async function isAnswered(rig: ChaosRig, end: Partial<EndState> = {}): Promise<void> {
  const isTold = () => itemsOf(rig).length === POINTS && itemsOf(rig).every((one) => one.answer_due === 0);
  await until("a turn answered the points", () => isTold() && itemsOf(rig).every((one) => one.turn === 2));
  await until("nothing is left to do", () => rig.openJobs().length === 0).catch(() => {});
  await rig.comesTo({ state: "idle", outcome: "done", runs: 2, commits: 2, ...end });
  expect(itemsOf(rig).map(({ n, state, verdict }) => `${n} ${state} ${verdict}`)).toEqual([
    "1 answered done",
    "2 answered declined",
    "3 open null",
  ]);
  const number = Number(rig.cell().pull_request);
  const bodies = said(rig, number);
  const atLines = marksOf(bodies, "item");
  expect(marksOf(bodies, "answers")).toHaveLength(1);
  expect(atLines.sort()).toEqual([...new Set(atLines)]);
  expect(atLines).toHaveLength(LINES.length);
  const thread = rig.standIn.people.pullRequests(AT.repo).find((one) => one.number === number);
  const states = thread?.pull.reviews.map((one) => one.state) ?? [];
  expect(states.filter((one) => one === "PENDING")).toEqual([]);
  expect(states.filter((one) => one === "REQUEST_REVIEW")).toHaveLength(1);
  const points = rig.query<{ comment: number }>("SELECT comment FROM items ORDER BY n");
  expect(points.map((one) => rig.reactions(one.comment).sort().join())).toEqual([
    "eyes,rocket",
    "eyes",
    "confused,eyes",
  ]);
  expect(existsSync(join(rig.dir, "twice"))).toBe(false);
  const prompt = readFileSync(join(rig.dir, "asked-2"), "utf8");
  expect(prompt.match(/^### \d/gm)).toHaveLength(POINTS);
}
