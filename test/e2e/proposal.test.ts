import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { draftOf } from "./exit-agents.ts";
import { FORM, type FormValues, formBody } from "./proposal-forms.ts";
import type { E2eUser } from "./server.ts";
import { asShown, Stage, seen, type Thread } from "./stage.ts";

const WORKS = `set -eu
cat > "$LAZARUS_ARTIFACTS/asked-$LAZARUS_AGENT"
echo "$LAZARUS_AGENT" > "$LAZARUS_AGENT.txt"; git add -A; git commit --quiet -m "by $LAZARUS_AGENT"`;
const AGENTS = {
  allegro: WORKS,
  ezra: WORKS,
  touches: `set -eu
mkdir -p docs; echo new > docs/guide.md; git add -A; git commit --quiet -m "Touch the docs"`,
  waits: `while [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.2; done`,
};
const GOOD: FormValues = {
  Objective: "The parser accepts empty input.",
  "Acceptance criteria": 'parse("") gives {}',
  Agents: "allegro",
};

let stage: Stage;
const file = async (values: FormValues, options: { as?: E2eUser; title?: string } = {}) =>
  stage.openIssue(options.title ?? "Mission: Accept empty input", {
    as: options.as ?? stage.reader,
    body: formBody(values),
  });
const edit = (at: Thread, change: { body?: string; title?: string; state?: string }, as = stage.reader) =>
  stage.server.api(as, "PATCH", `/repos/${at.repo}/issues/${at.number}`, change);
/** Waits until the bot's one comment on a thread reads like that; answers it. */
async function comment(at: Thread, expected: string | RegExp): Promise<{ id: number; body: string }> {
  const own = async () => (await stage.comments(at)).filter((one) => one.author === stage.bot.login);
  await seen(
    `the bot's comment on #${at.number}`,
    async () => asShown((await own())[0]?.body ?? ""),
    expected,
  );
  const all = await own();
  return { id: all[0]?.id ?? 0, body: asShown(all[0]?.body ?? "") };
}
const hashIn = (body: string) => /approve ([0-9a-f]{8})`/.exec(body)?.[1] ?? "no hash";

describe.each([
  ["with a hook", true],
  ["without a hook, by catch-up", false],
])("a proposal, %s", (_, hook) => {
  beforeAll(async () => {
    stage = await Stage.set({
      agents: AGENTS,
      files: { "src.txt": "one\n", [FORM]: readFileSync(FORM, "utf8") },
      directors: [],
      hook,
      poll: "1s",
      limits: { grace: "2s", proposals: 2 },
    });
  });
  afterAll(() => stage?.strike());

  it("is answered with its mistakes, then its plan, then its card, all in one comment", async () => {
    // As people do it: in a browser, on the form as it lies in the repository.
    const form = { path: FORM, title: "Mission: Accept empty input", fields: { agents: "allegro" } };
    const number = await stage.server.openIssueByForm(stage.reader, stage.repo, form);
    const issue = { repo: stage.repo, number };
    const first = await comment(issue, "2 things are in the way");
    expect(first.body).toContain("- **Objective**: empty. Say what is to be true afterwards.");
    expect(first.body).toContain("- **Acceptance criteria**: empty. Say how one sees that it is done.");

    await edit(issue, { body: formBody({ ...GOOD, Agents: "allegro+ezra", "Time to live": "4h" }) });
    const plan = await comment(issue, /\*\*plan: allegro, then ezra\*\*/);
    expect(plan.id).toBe(first.id);
    expect(plan.body).toContain("waits for approval by a director");
    expect(plan.body).toMatch(/\| limits \| 2 h a turn, 4 h in all, 20 turns \|/);
    const old = hashIn(plan.body);

    await edit(issue, { body: formBody({ ...GOOD, Objective: "Something else entirely." }) });
    const again = await comment(issue, /\*\*plan: allegro\*\*/);
    const fresh = hashIn(again.body);
    expect(fresh).not.toBe(old);
    await stage.type(stage.lead, issue, `/lazarus approve ${old}`);
    await seen(
      "the refusal of the old hash",
      async () => JSON.stringify(await stage.replies(issue)),
      `\`${old}\` is not the plan`,
    );
    await stage.type(stage.dev, issue, `/lazarus approve ${fresh}`);
    await seen("dev may not", async () => JSON.stringify(await stage.replies(issue)), "needs a director");

    const typed = await stage.type(stage.lead, issue, `/lazarus approve ${fresh}`);
    const card = await comment(issue, /\*\*allegro is done\*\*.*→ draft #\d+/);
    expect(card.id).toBe(first.id);
    expect(await stage.reacted(issue, typed, "rocket")).toEqual(["eyes", "rocket"]);
    const cellId = await stage.cellId(issue);
    const brief = await stage.lazarus.readCell(cellId, "config/brief.md");
    expect(await stage.lazarus.readCell(cellId, "artifacts/asked-allegro")).toContain(
      "Something else entirely.",
    );
    expect(brief).toContain("Proposed by reader, who has no write permission here; a director approved");
    expect((await stage.status(cellId)).brief_sha256).toMatch(new RegExp(`^${fresh}`));
    expect((await draftOf(stage, card.body)).subjects).toEqual(["allegro: by allegro"]);
    expect((await stage.status(cellId)).requested_by).toBe("reader");

    await edit(issue, { body: formBody({ ...GOOD, Objective: "Changed my mind." }) });
    await comment(issue, /The issue was edited since \(.*\): allegro works from `[0-9a-f]{8}`/);
  });

  it("keeps whom a director invited when it is edited", async () => {
    const issue = await file(GOOD);
    await comment(issue, "**plan: allegro**");
    const typed = await stage.type(stage.lead, issue, "/lazarus invite bot:ezra executor");
    await stage.reacted(issue, typed, "rocket");
    await comment(issue, "**plan: allegro, then ezra**");
    await edit(issue, { body: formBody({ ...GOOD, Objective: "Something else entirely." }) });
    await comment(issue, "Something else entirely.");
    await comment(issue, "**plan: allegro, then ezra**");
    const { members } = await stage.status(await stage.cellId(issue));
    expect(members).toMatchObject([{ name: "allegro" }, { name: "ezra", role: "executor" }]);
    await edit(issue, { state: "closed" });
    await comment(issue, "withdrawn: reader closed the issue");
  });

  it("is withdrawn when its author closes it, and planned anew when it is reopened", async () => {
    const issue = await file(GOOD);
    await comment(issue, "**plan: allegro**");
    await edit(issue, { state: "closed" });
    await comment(issue, "withdrawn: reader closed the issue");
    await edit(issue, { state: "open" });
    const card = await stage.card(issue, "**plan: allegro**");
    expect(await stage.cards(issue)).toHaveLength(2);
    await stage.type(
      stage.lead,
      issue,
      `/lazarus decline ${(await stage.cellId(issue)).slice(0, 8)} not now`,
    );
    await stage.card(issue, "declined by lead: not now");
    expect(card).not.toBe("");
  });

  it("holds back what touches what was not to be touched, until a director lets it go", async () => {
    const issue = await file({ ...GOOD, Agents: "touches", "Not to be touched": "docs/**" });
    const plan = await comment(issue, "**plan: touches**");
    expect(plan.body).toContain("| not to be touched | docs/\\*\\* |");
    await stage.type(stage.lead, issue, `/lazarus approve ${hashIn(plan.body)}`);
    const card = await stage.card(issue, "Held back: docs/guide.md is not to be touched, says the proposal");
    const cellId = await stage.cellId(issue);
    expect(card).toContain(`/lazarus publish ${cellId.slice(0, 8)} --allow-protected`);
    await stage.type(stage.lead, issue, `/lazarus publish ${cellId.slice(0, 8)} --allow-protected`);
    await stage.card(issue, /→ draft #\d+/);
  });

  it("waits where its author has enough that wait, and is planned when one is decided", async () => {
    const fileAs = (title: string) => file(GOOD, { title, as: stage.dev });
    const one = await fileAs("Mission: one");
    await comment(one, "**plan: allegro**");
    const two = await fileAs("Mission: two");
    await comment(two, "**plan: allegro**");
    const three = await fileAs("Mission: three");
    const waits = await comment(three, "2 proposals of dev wait for a director's decision already");
    await stage.type(stage.lead, two, "/lazarus decline");
    const plan = await comment(three, "**plan: allegro**");
    expect(plan.id).toBe(waits.id);
  });

  it("takes comments along where a director says so, and refuses a plan that nobody could have read", async () => {
    const issue = await file(GOOD);
    await comment(issue, "**plan: allegro**");
    await stage.type(stage.dev, issue, "Mind the trailing comma.");
    const plan = await comment(issue, "1 comment");
    await stage.type(stage.lead, issue, "/lazarus approve");
    await seen(
      "the refusal without a hash",
      async () => JSON.stringify(await stage.replies(issue)),
      "has stood for less than a minute",
    );
    await stage.type(stage.lead, issue, `/lazarus approve ${hashIn(plan.body)} --with-comments`);
    await stage.card(issue, "**allegro is done**");
    const cellId = await stage.cellId(issue);
    const asked = await stage.lazarus.readCell(cellId, "artifacts/asked-allegro");
    expect(asked).toContain("dev (executor), ");
    expect(asked).toContain("Mind the trailing comma.");
  });

  it("is withdrawn when its issue is deleted, and approved by the command line with its hash alone", async () => {
    const issue = await file(GOOD);
    const plan = await comment(issue, "**plan: allegro**");
    const cellId = await stage.cellId(issue);
    const refused = await stage.lazarus.cli("approve", cellId);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining("Name the plan that you read"),
    ]);
    expect((await stage.lazarus.cli("approve", cellId, "00000000")).code).toBe(3);
    await stage.server.deleteIssue(issue.repo, issue.number);
    await seen(
      "the state of the cell",
      async () => JSON.stringify(await stage.status(cellId)),
      /"state":"archived".*its issue was deleted/,
    );
    expect(plan.id).toBeGreaterThan(0);
  });
});
