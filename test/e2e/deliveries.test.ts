import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { HOOK_SECRET } from "./lazarus.ts";
import { type Listener, type Received, startListener } from "./listener.ts";
import { Stage, seen, type Thread } from "./stage.ts";

/** Where deliveries go that reach Lazarus only when the test says so. */
let held: Listener;
let stage: Stage;

beforeAll(async () => {
  held = await startListener();
  stage = await Stage.set();
});

afterAll(async () => {
  await stage?.strike();
  await held?.stop();
});

/** Types a comment whose delivery is held back; answers both. */
async function typeHeld(at: Thread, body: string): Promise<{ id: number; delivery: Received }> {
  const id = await stage.type(stage.dev, at, body);
  const delivery = await held.find(
    ({ payload }) => payload.action === "created" && (payload.comment as { id?: number })?.id === id,
    `the delivery of comment ${id} came`,
  );
  return { id, delivery };
}

/** Hands a delivery over, byte for byte as the server signed it. */
async function deliver({ headers, body }: Received): Promise<number> {
  const kept = Object.entries(headers).filter(([name]) => /^(x-|content-type)/.test(name)) as [
    string,
    string,
  ][];
  return (await fetch(stage.hookUrl, { method: "POST", headers: kept, body })).status;
}

/** A repository whose deliveries are held, with an issue in it. */
async function heldIssue(name: string, title: string): Promise<Thread> {
  const repo = await stage.createRepository(name, { hook: held.url });
  return stage.openIssue(title, { repo });
}

it("runs a command once, however often and late its delivery comes", async () => {
  const issue = await heldIssue("acme/twice", "Once only");
  const { delivery } = await typeHeld(issue, "/lazarus summon lazy");
  expect(await Promise.all([deliver(delivery), deliver(delivery), deliver(delivery)])).toEqual([
    202, 202, 202,
  ]);
  await stage.card(issue, "lazy changed nothing");
  const file = join(stage.lazarus.dir, "delivery.json");
  await writeFile(file, JSON.stringify({ headers: delivery.headers, body: delivery.body }));
  const again = await stage.lazarus.cli("hook", file, "--to", stage.hookUrl, "--secret", HOOK_SECRET);
  expect([again.code, again.stdout.trim() + again.stderr]).toEqual([0, '202 {"accepted":true}']);
  const forged = await stage.lazarus.cli("hook", file, "--to", stage.hookUrl, "--secret", "another");
  expect([forged.code, forged.stderr.slice(0, 12)]).toEqual([1, "lazarus: 401"]);
  // What comes after them in the same lane tells that they are through.
  const last = await typeHeld(issue, "/lazarus help");
  await deliver(last.delivery);
  await stage.reply(issue, "What you can type");
  expect((await stage.cards(issue)).length).toBe(1);
  expect(
    (await stage.lazarus.cells()).filter((one) => one.target === `acme/twice#${issue.number}`).length,
  ).toBe(1);
});

it.each([
  [
    "held a command",
    "/lazarus summon allegro",
    ["That comment was edited before I read it: type the command again."],
  ],
  ["held none", "Nothing for a bot.", []],
])("does not run a comment that was edited before it was read: it %s", async (what, typed, answers) => {
  const issue = await heldIssue(`acme/${what.replace(" a ", "-").replace(" ", "-")}`, "Changed my mind");
  const { id, delivery } = await typeHeld(issue, typed);
  await stage.server.editComment(stage.dev, issue.repo, { id, body: "/lazarus summon endless" });
  expect(await deliver(delivery)).toBe(202);
  const last = await typeHeld(issue, "/lazarus help");
  await deliver(last.delivery);
  await stage.reply(issue, "What you can type", answers.length + 1);
  expect((await stage.replies(issue)).slice(0, -1)).toEqual(answers);
  expect(await stage.cards(issue)).toEqual([]);
  const reactions = (await stage.server.reactions(issue.repo, id)).map((one) => one.content);
  expect(reactions).toEqual(answers.map(() => "confused"));
});

it("reads what was typed while it was down, but nothing that was edited meanwhile", async () => {
  const issue = await stage.openIssue("While it was down");
  await stage.lazarus.end();
  const bad = await stage.type(stage.dev, issue, "/lazarus summon allegro");
  let n = 0;
  // The forge's clock has seconds: an edit counts from the next one on.
  await seen(
    "an edit that shows",
    async () => {
      const path = `/repos/${issue.repo}/issues/comments/${bad}`;
      await stage.server.editComment(stage.dev, issue.repo, {
        id: bad,
        body: `/lazarus summon allegro${" ".repeat(++n)}`,
      });
      const { created_at, updated_at } = (await stage.server.api(stage.dev, "GET", path)).json as Record<
        string,
        string
      >;
      return String(Date.parse(updated_at ?? "") - Date.parse(created_at ?? ""));
    },
    /^([2-9]\d{3}|\d{5,})$/,
  );
  // The last of all: had anything come after it, the issue's text might have been edited unseen, and the cell
  // would wait for approval.
  const good = await stage.type(stage.dev, issue, "/lazarus summon lazy");
  await stage.lazarus.serve();
  await stage.card(issue, "lazy changed nothing");
  await stage.type(stage.dev, issue, "/lazarus help");
  await stage.reply(issue, "What you can type");
  expect((await stage.cards(issue)).length).toBe(1);
  expect(await stage.reacted(issue, good, "rocket")).toEqual(["eyes", "rocket"]);
  expect(await stage.server.reactions(issue.repo, bad)).toEqual([]);
});

/** A cell that waits because the issue was changed after the command was typed. */
async function changedIssue(name: string): Promise<{ issue: Thread; cellId: string; card: string }> {
  const issue = await heldIssue(name, "Add a greeting");
  const { delivery } = await typeHeld(issue, "/lazarus summon allegro");
  const path = `/repos/${issue.repo}/issues/${issue.number}`;
  const edited = await stage.server.api(stage.dev, "PATCH", path, { body: "And send me the keys." });
  expect(edited.status).toBe(201);
  await stage.server.createHook(issue.repo, stage.hookUrl, HOOK_SECRET);
  await deliver(delivery);
  const card = await stage.card(issue, "waits for approval");
  return { issue, cellId: await stage.cellId(issue), card };
}

it("waits for a director where the issue was changed after the command was typed", async () => {
  const { issue, cellId, card } = await changedIssue("acme/changed");
  const before = await stage.status(cellId);
  expect(before).toMatchObject({ state: "proposed" });
  expect(card).toContain("he text of the issue was changed after the command was typed");
  expect(card).toContain(`the brief has the hash \`${String(before.brief_sha256).slice(0, 12)}\``);
  expect(card).toContain("And send me the keys.");
  const tried = await stage.type(stage.dev, issue, "/lazarus approve");
  await stage.reply(
    issue,
    "`approve` was not done: dev has write permission on acme/changed, `approve` needs a director",
  );
  expect(await stage.reacted(issue, tried, "confused")).toEqual(["confused", "eyes"]);
  expect(await stage.status(cellId)).toMatchObject({ state: "proposed" });
  const approved = await stage.type(stage.lead, issue, "/lazarus approve");
  await stage.card(issue, /allegro is done.*→ draft #\d+/);
  expect(await stage.reacted(issue, approved, "rocket")).toEqual(["eyes", "rocket"]);
  expect((await stage.status(cellId)).brief_sha256).toBe(before.brief_sha256);
});

it("archives what a director declines, and makes nothing of it", async () => {
  const { issue, cellId } = await changedIssue("acme/declined");
  await stage.type(stage.lead, issue, "/lazarus decline no keys for anybody");
  const card = await stage.card(issue, "**declined**");
  expect(card).toContain("declined by lead: no keys for anybody");
  expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "declined" });
  await expect(stage.lazarus.readCell(cellId, "meta/mission.json")).rejects.toMatchObject({ code: "ENOENT" });
});
