import { describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { type Ground, R, repo } from "./ground.ts";

interface Moved {
  readonly number: number;
  readonly updated_at: string;
  readonly repository: { readonly id: number; readonly full_name: string };
}

interface TimelineEntry {
  readonly id: number;
  readonly type: string;
  readonly user: { readonly id: number; readonly login: string };
}

/** How a server tells what moved: what catch-up stands on. */
export function movedFacts(ground: () => Ground): void {
  const updatedAt = async (number: number) => {
    const { server, bot } = ground();
    return String(
      ((await server.api(bot, "GET", `${R}/issues/${number}`)).json as Moved | undefined)?.updated_at,
    );
  };
  /** The server keeps seconds: what comes after this is told apart from what came before. */
  const nextSecond = async (after: string) => {
    await until("the second is over", () => Date.now() > Date.parse(after) + 1_050);
  };
  const isMovedBy = async (number: number, act: () => Promise<unknown>) => {
    const before = await updatedAt(number);
    await nextSecond(before);
    await act();
    return (await updatedAt(number)) !== before;
  };
  const list = async (path: string) => {
    const { server, bot } = ground();
    const answer = await server.api(bot, "GET", path);
    return { ...answer, threads: answer.json as Moved[] };
  };
  const timeline = async (number: number) => {
    const { server, bot } = ground();
    const answer = await server.api(bot, "GET", `${R}/issues/${number}/timeline`);
    return ((answer.json ?? []) as TimelineEntry[]).map((one) => ({
      id: one.id,
      type: one.type,
      by: one.user.login,
    }));
  };

  describe("what moves a thread", () => {
    it("is a comment, a title, its text, closing and reopening, on some servers a comment's removal; not a comment's edit and no reaction", async () => {
      const { server, ways, dev, bot, reader } = ground();
      const number = await server.openIssue(dev, repo, { title: "moves", body: "" });
      let id = 0;
      const path = `${R}/issues/${number}`;
      expect(
        await isMovedBy(number, async () => {
          id = (await server.comment(reader, repo, { number, body: "a" })).id;
        }),
      ).toBe(true);
      expect(await isMovedBy(number, () => server.editComment(reader, repo, { id, body: "b" }))).toBe(false);
      expect(
        await isMovedBy(number, () =>
          server.api(bot, "POST", `${R}/issues/comments/${id}/reactions`, { content: "eyes" }),
        ),
      ).toBe(false);
      expect(await isMovedBy(number, () => server.deleteComment(reader, repo, id))).toBe(ways.removalMoves);
      expect(await isMovedBy(number, () => server.api(dev, "PATCH", path, { title: "moved" }))).toBe(true);
      // Only this tells of an edit of its text: the timeline does not.
      expect(await isMovedBy(number, () => server.api(dev, "PATCH", path, { body: "moved" }))).toBe(true);
      expect(await isMovedBy(number, () => server.closeIssue(dev, repo, number))).toBe(true);
      expect(await isMovedBy(number, () => server.api(dev, "PATCH", path, { state: "open" }))).toBe(true);
    });

    it("is a review, an approval without words, a comment by API that fires nothing, and a merge", async () => {
      const { server, dev, bot, openFeature } = ground();
      const number = await openFeature("moves-pull");
      const review = (event: string, body: string) => () =>
        server.api(dev, "POST", `${R}/pulls/${number}/reviews`, { event, body });
      expect(await isMovedBy(number, review("COMMENT", "a remark"))).toBe(true);
      expect(await isMovedBy(number, review("APPROVED", ""))).toBe(true);
      const byApi = () => server.api(dev, "POST", `${R}/issues/${number}/comments`, { body: "by api" });
      expect(await isMovedBy(number, byApi)).toBe(true);
      const retitle = () => server.api(bot, "PATCH", `${R}/pulls/${number}`, { title: "moves pull" });
      expect(await isMovedBy(number, retitle)).toBe(true);
      expect(await isMovedBy(number, () => server.mergePullRequest(dev, repo, number))).toBe(true);
    });
  });

  describe("lists of what moved", () => {
    it("hold what moved at that second or later, in one repository or in all of an owner, the youngest thread first", async () => {
      const { server, dev, bot, openFeature } = ground();
      const older = await server.openIssue(dev, repo, { title: "older", body: "" });
      await nextSecond(await updatedAt(older));
      const pull = await openFeature("listed");
      const closed = await server.openIssue(dev, repo, { title: "closed", body: "" });
      await server.closeIssue(dev, repo, closed);
      await nextSecond(await updatedAt(closed));
      const other = await server.createRepository({ owner: "acme", name: "other", private: true });
      await server.addCollaborator(other, bot.login, "read");
      const elsewhere = await server.openIssue(server.admin, other, { title: "elsewhere", body: "" });
      await server.comment(dev, repo, { number: older, body: "moves it" });
      const since = await updatedAt(pull);

      // Commits that name other threads may move those as well, whenever the server comes to it.
      const ours = [older, pull, closed];
      const known = (threads: readonly Moved[]) =>
        threads.filter((one) => one.repository.full_name !== repo || ours.includes(one.number));
      const here = await list(`${R}/issues?state=all&since=${since}&limit=50`);
      expect(known(here.threads).map((one) => one.number)).toEqual([closed, pull, older]);
      expect(here.headers.get("x-total-count")).toBe(String(here.threads.length));
      expect(Math.abs(Date.parse(here.headers.get("date") ?? "") - Date.now())).toBeLessThan(5_000);
      const all = await list(`/repos/issues/search?state=all&owner=acme&since=${since}&limit=50`);
      expect(known(all.threads).map((one) => [one.repository.full_name, one.number])).toEqual([
        [other, elsewhere],
        [repo, closed],
        [repo, pull],
        [repo, older],
      ]);
      expect(known(all.threads)[1]?.repository.id).toBe(here.threads[0]?.repository.id);
      const later = new Date(Date.parse(await updatedAt(older)) + 1_000).toISOString();
      expect(known((await list(`${R}/issues?state=all&since=${later}`)).threads)).toEqual([]);
      const open = await list(`${R}/issues?since=${since}`);
      expect(known(open.threads).map((one) => one.number)).toEqual([pull, older]);
    });

    it("are cut at 50, go on by pages, and show nothing of what is hidden", async () => {
      const { server, dev, bot, reader } = ground();
      const many = await server.createRepository({ owner: "many", name: "issues", private: true });
      await server.addCollaborator(many, bot.login, "read");
      for (let left = 52; left > 0; left--)
        await server.openIssue(server.admin, many, { title: "x", body: "" });
      for (const path of [`/repos/${many}/issues?state=all`, "/repos/issues/search?state=all&owner=many"]) {
        const first = await list(`${path}&limit=1000`);
        const second = await list(`${path}&limit=50&page=2`);
        expect([first.threads.length, second.threads.length]).toEqual([50, 2]);
        expect(first.headers.get("x-total-count")).toBe("52");
        expect(second.threads.at(-1)?.number).toBe(1);
      }
      const search = "/repos/issues/search?state=all&owner=";
      expect((await server.api(reader, "GET", `${search}many`)).json).toEqual([]);
      expect((await server.api(reader, "GET", `/repos/${many}/issues`)).status).toBe(404);
      expect((await server.api(dev, "GET", `${search}no-such-owner`)).status).toBe(400);
      const everywhere = await list("/repos/issues/search?state=all&limit=50");
      expect(everywhere.threads.length).toBe(50);
    });
  });

  describe("the timeline", () => {
    it("names who closed, reopened and merged, in ids of the comments' own sequence", async () => {
      const { server, dev, bot, openFeature } = ground();
      const number = await server.openIssue(dev, repo, { title: "timeline", body: "" });
      const { id } = await server.comment(dev, repo, { number, body: "before" });
      await server.closeIssue(dev, repo, number);
      await server.api(bot, "PATCH", `${R}/issues/${number}`, { state: "open" });
      await server.closeIssue(bot, repo, number);
      const after = await server.comment(dev, repo, { number, body: "after" });
      const seen = await timeline(number);
      expect(seen.map((one) => [one.type, one.by])).toEqual([
        ["comment", "dev"],
        ["close", "dev"],
        ["reopen", "lazarus"],
        ["close", "lazarus"],
        ["comment", "dev"],
      ]);
      expect(seen.map((one) => one.id)).toEqual([...seen.map((one) => one.id)].sort((a, b) => a - b));
      expect([seen[0]?.id, seen[4]?.id]).toEqual([id, after.id]);
      expect(new Set(seen.map((one) => one.id)).size).toBe(5);

      const pull = await openFeature("timeline-merged");
      await server.api(bot, "PATCH", `${R}/pulls/${pull}`, { title: "timeline merged" });
      await server.mergePullRequest(dev, repo, pull);
      expect((await timeline(pull)).filter((one) => /close|merge/.test(one.type))).toMatchObject([
        { type: "merge_pull", by: "dev" },
      ]);
      const lost = await openFeature("timeline-lost");
      await server.api(dev, "DELETE", `${R}/branches/timeline-lost`);
      await until("it is closed", async () => !(await server.pullRequest(repo, lost)).isOpen);
      expect((await timeline(lost)).filter((one) => /close|merge/.test(one.type))).toMatchObject([
        { type: "close", by: "dev" },
      ]);
    });
  });
}
