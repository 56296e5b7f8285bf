import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage?.strike());

const admin = (method: string, path: string, body: unknown) =>
  stage.server.api(stage.server.admin, method, path, body);

describe("a repository that is renamed, then given away", () => {
  let issue: Thread;
  let draft: number;
  let cellId: string;

  it("keeps its cell: what is typed there is heard, and its agent goes on", async () => {
    issue = await stage.openIssue("A task that outlives a name");
    await stage.type(stage.dev, issue, "/lazarus summon allegro");
    draft = Number(/→ draft #(\d+)/.exec(await stage.card(issue, /→ draft #\d+/))?.[1]);
    cellId = await stage.cellId(issue);
    expect((await admin("PATCH", "/repos/acme/app", { name: "renamed" })).status).toBe(200);
    issue = { ...issue, repo: "acme/renamed" };
    await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.card(issue, "acme/app is called acme/renamed now");
    await seen(
      "the state of the cell",
      async () => JSON.stringify(await stage.status(cellId)),
      (text) => text.includes('"state":"idle"') && text.includes("acme/renamed"),
    );
    const drafts = (await stage.server.pullRequests("acme/renamed")).map((one) => one.number);
    expect(drafts).toEqual([draft]);
    expect((await stage.cards(issue)).length).toBe(1);
  });

  it("starts no second cell in its place, and makes new ones under the new name", async () => {
    const other = await stage.openIssue("Another one", { repo: "acme/renamed" });
    await stage.type(stage.dev, other, "/lazarus summon allegro");
    await stage.card(other, /→ draft #\d+/);
  });

  it("that is not served any more: its cell says so, and is closed with its seal", async () => {
    await admin("POST", "/orgs", { username: "elsewhere" });
    const given = await admin("POST", "/repos/acme/renamed/transfer", { new_owner: "elsewhere" });
    expect(given.status).toBe(202);
    // A director's word from the command line has the forge looked at.
    await stage.lazarus.cli("revive", cellId);
    await seen(
      "the reason of the cell",
      async () => JSON.stringify(await stage.status(cellId)),
      "is called elsewhere/renamed now, which is not served",
    );
    await seen("the state of the cell", async () => String((await stage.status(cellId)).state), "idle");
    const refused = await stage.lazarus.cli("close", cellId);
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("--discard")]);
    expect((await stage.lazarus.cli("close", cellId, "--discard")).code).toBe(0);
    await seen("the state of the cell", async () => String((await stage.status(cellId)).state), "archived");
    expect(await stage.lazarus.readCell(cellId, "archive/manifest.json")).toContain("cell.tar.gz");
  });
});
