import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Stage, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ limits: { per_person: 1 } });
});

afterAll(() => stage?.strike());

async function summon(
  agent: string,
  expected: string | RegExp,
): Promise<{ issue: Thread; comment: number; cellId: string }> {
  const issue = await stage.openIssue(`${agent} works`);
  const comment = await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  await stage.card(issue, expected);
  return { issue, comment, cellId: await stage.cellId(issue) };
}

const go = (cellId: string) => writeFile(join(stage.lazarus.missionsDir, cellId, "artifacts", "go"), "");

it("lets a second cell wait with its place on the card, and starts it when the first ends", async () => {
  const first = await summon("patient", "**patient is working**");
  const second = await summon("lazy", "**lazy waits for a place**: 1st in line; 1 of 1 cells run for dev");
  const third = await summon("broken", "**broken waits for a place**: 2nd in line");
  expect(await stage.reacted(second.issue, second.comment, "eyes")).toEqual(["eyes"]);
  expect(await stage.status(second.cellId)).toMatchObject({ state: "proposed" });
  const other = await stage.openIssue("Somebody else's place");
  await stage.type(stage.lead, other, "/lazarus summon lazy");
  await stage.card(other, "lazy changed nothing");
  await go(first.cellId);
  await stage.card(first.issue, /patient is done.*→ draft #\d+/);
  await stage.card(second.issue, "lazy changed nothing");
  expect(await stage.reacted(second.issue, second.comment, "rocket")).toEqual(["eyes", "rocket"]);
  await stage.card(third.issue, "broken stopped");
  await stage.reply(third.issue, "@dev: cell");
  for (const { issue } of [first, second]) expect(await stage.replies(issue)).toEqual([]);
});

it("takes a cell out of the line: by stop, by a deleted comment, by decline", async () => {
  const first = await summon("patient", "is working");
  const stopped = await summon("lazy", "1st in line");
  const deleted = await summon("allegro", "2nd in line");
  const declined = await summon("broken", "3rd in line");
  await stage.type(stage.dev, stopped.issue, "/lazarus stop");
  await stage.card(stopped.issue, "stopped by dev");
  await stage.server.deleteComment(stage.dev, stage.repo, deleted.comment);
  await stage.card(deleted.issue, "withdrawn: its comment was deleted");
  await stage.card(declined.issue, "waits for a place");
  await stage.type(stage.lead, declined.issue, "/lazarus decline not now");
  await stage.card(declined.issue, "**declined**");
  await go(first.cellId);
  await stage.card(first.issue, "patient is done");
  for (const { cellId, outcome } of [
    { ...stopped, outcome: "discarded" },
    { ...deleted, outcome: "discarded" },
    { ...declined, outcome: "declined" },
  ]) {
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome });
    await expect(stage.lazarus.readCell(cellId, "meta/mission.json")).rejects.toMatchObject({
      code: "ENOENT",
    });
  }
  expect(await stage.card(declined.issue, "")).toContain("declined by lead: not now");
});

it("stops a run that never ends, and keeps what it made", async () => {
  const { issue, cellId } = await summon("endless", "is working");
  await stage.type(stage.dev, issue, "/lazarus stop");
  const card = await stage.card(
    issue,
    /endless was stopped\*\* \(stopped by dev after \d+ s\): 1 commit, 1 file, \+1 −0 → draft #\d+/,
  );
  expect(card).toMatch(/\| stopped by dev \| endless \|/);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  const asked = await stage.type(stage.dev, issue, "/lazarus stop");
  await stage.reply(issue, "has no run to stop: it is idle");
  expect(await stage.reacted(issue, asked, "confused")).toContain("confused");
});
