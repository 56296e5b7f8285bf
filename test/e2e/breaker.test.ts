import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGENTS } from "./agents.ts";
import type { E2eUser } from "./servers.ts";
import { Stage, seen, type Thread } from "./stage.ts";

const REPLIER = `set -eu
echo "round $(git rev-list --count HEAD)" >> rounds.txt
git add rounds.txt
git commit --quiet -m "one more round"`;

let stage: Stage;
/** People who may read, and no more. */
let strangers: E2eUser[];

/** Whoever may not; each is refused in words three times. */
async function flood(issue: Thread, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let n = 0; n < count; n++) {
    const who = strangers[Math.floor(n / 3)] ?? stage.reader;
    const id = await stage.type(who, issue, `/lazarus sumon number-${n}`);
    await stage.reacted(issue, id, "confused");
    ids.push(id);
  }
  return ids;
}

describe("the breaker", () => {
  beforeAll(async () => {
    stage = await Stage.set({
      agents: { ...AGENTS, replier: REPLIER },
      limits: { review_wait: "0s", rounds: 2 },
    });
    strangers = [];
    for (const name of ["ann", "ben", "cleo", "dora", "eli"])
      strangers.push(await stage.server.createUser(name));
  });
  afterAll(() => stage?.strike());

  it("tells somebody without a role three times what was wrong, and then only that it was", async () => {
    const issue = await stage.openIssue("Of interest to strangers");
    const lines = Array.from({ length: 15 }, (_, n) => `/lazarus sumon number-${n}`);
    for (const line of lines) {
      const id = await stage.type(stage.reader, issue, line);
      expect(await stage.reacted(issue, id, "confused")).toEqual(["confused", "eyes"]);
    }
    // Whoever has a role is told each time, and is last: what was to be said was said before.
    const mine = await stage.type(stage.dev, issue, "/lazarus sumon me");
    await stage.reacted(issue, mine, "confused");
    await stage.reply(issue, "No command", 4);

    const elsewhere = await stage.openIssue("Another thread");
    const id = await stage.type(stage.reader, elsewhere, "/lazarus sumon here");
    await stage.reacted(elsewhere, id, "confused");
    const asked = await stage.type(stage.dev, elsewhere, "/lazarus help sumon");
    await stage.reacted(elsewhere, asked, "confused");
    expect(await stage.replies(elsewhere)).toHaveLength(1);
  });

  it("is quiet on a thread that loops, until a director types there; both threads of a cell", async () => {
    const issue = await stage.openIssue("A thread that loops");
    await stage.type(stage.dev, issue, "/lazarus summon replier");
    const card = await stage.card(issue, /→ draft #\d+/);
    const draft = { repo: stage.repo, number: Number(/→ draft #(\d+)/.exec(card)?.[1]) };

    await flood(issue, 11);
    expect(await stage.replies(issue)).toHaveLength(11);
    await stage.card(issue, /^<!-- .* -->\n\*\*quiet since .*\*\*: I wrote more than 10 comments/);
    const cellId = await stage.cellId(issue);
    expect(String((await stage.status(cellId)).breaker)).toMatch(
      /^Quiet since .* I wrote more than 10 comments/,
    );

    // It lives on: no twelfth answer, and no turn that begins by itself, on the draft neither.
    await stage.lazarus.end("SIGKILL");
    await stage.lazarus.serve();
    const more = await stage.type(strangers[4] ?? stage.reader, issue, "/lazarus sumon once-more");
    expect(await stage.reacted(issue, more, "confused")).toEqual(["confused", "eyes"]);
    const review = { number: draft.number, event: "REQUEST_CHANGES", body: "Once more, please." } as const;
    await stage.server.review(stage.dev, stage.repo, review);
    await stage.card(issue, /1 point of dev, asked for in a review, waits/);
    const asked = await stage.type(stage.dev, issue, "/lazarus why");
    await stage.reacted(issue, asked, "rocket");
    expect(await stage.reply(issue, "Quiet since", 12)).toContain("is idle");
    expect((await stage.status(cellId)).turns).toHaveLength(1);

    const woken = await stage.type(stage.lead, draft, "/lazarus status");
    await stage.reacted(draft, woken, "rocket");
    await stage.card(issue, /^<!-- .* -->\n\*\*replier/);
    await turns(cellId, 2);
    const told = await stage.type(strangers[4] ?? stage.reader, issue, "/lazarus sumon and-again");
    await stage.reacted(issue, told, "confused");
    await stage.reply(issue, "No command", 13);
  });

  it("stops after so many rounds with one reviewer who has the last word each time", async () => {
    const issue = await stage.openIssue("A bot that always wants something");
    await stage.type(stage.lead, issue, "/lazarus summon replier");
    const card = await stage.card(issue, /→ draft #\d+/);
    const number = Number(/→ draft #(\d+)/.exec(card)?.[1]);
    const cellId = await stage.cellId(issue);
    for (let round = 1; round <= 3; round++) {
      const body = `Round ${round}: again.`;
      await stage.server.review(stage.dev, stage.repo, { number, event: "REQUEST_CHANGES", body });
      if (round <= 2) await turns(cellId, round + 1);
    }
    await stage.card(issue, "Stopped after 2 rounds of reviews by dev.");
    expect((await stage.status(cellId)).turns).toHaveLength(3);
    const tried = await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.reacted(issue, tried, "confused");
    await stage.type(stage.lead, issue, "/lazarus revive");
    await turns(cellId, 4);
  });
});

/** Waits until so many turns are over. */
async function turns(cellId: string, count: number): Promise<void> {
  const look = async () => {
    const { state, turns } = (await stage.status(cellId)) as { state: string; turns: { state: string }[] };
    return `${state}, ${turns.filter((turn) => turn.state === "over").length} turns`;
  };
  await seen(`turns of ${cellId}`, look, `idle, ${count} turns`);
}
