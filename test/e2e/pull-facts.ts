import { expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { runGit } from "./git-client.ts";
import { type Ground, R, repo } from "./ground.ts";

/** Pull requests and reviews. */
export function pullFacts(ground: () => Ground): void {
  it("opens drafts by their title, follows the head and shows the diff", async () => {
    const { server, ways, dev, bot, reader, status, delivery } = ground();
    await server.commitFile(bot, repo, { branch: "feature", path: "feature.txt", text: "new\n" });
    const wanted = { head: "feature", base: "main", title: "WIP: feature", body: "For #1" };
    const number = await server.openPullRequest(bot, repo, wanted);
    const opened = await delivery("pull_request", "opened", "WIP: feature");
    expect(opened.payload).toMatchObject({
      number,
      pull_request: { draft: true, mergeable: false },
      review: null,
    });
    const shown = await server.pullRequest(repo, number);
    expect(shown).toMatchObject({
      isDraft: true,
      isOpen: true,
      isMerged: false,
      author: "lazarus",
      head: { ref: "feature", sha: await server.branch(repo, "feature") },
      base: { ref: "main", sha: await server.branch(repo, "main") },
      requestedReviewers: [],
    });
    expect(await server.diff(repo, number)).toContain("+++ b/feature.txt\n@@ -0,0 +1 @@\n+new\n");
    const again = await server.api(bot, "POST", `${R}/pulls`, wanted);
    expect(again.status).toBe(409);
    expect((again.json as { message: string }).message).toContain(`issue_id: ${number}`);
    expect(await status(bot, "POST", `${R}/pulls`, { ...wanted, head: "nowhere" })).toBe(404);
    expect(await status(bot, "POST", `${R}/pulls`, { ...wanted, base: "nowhere" })).toBe(404);
    expect(await status(bot, "POST", `${R}/pulls`, { ...wanted, head: "main" })).toBe(422);
    if (!ways.readersPropose)
      expect(await status(reader, "POST", `${R}/pulls`, { ...wanted, head: "by-git" })).toBe(403);

    await server.commitFile(dev, repo, { branch: "feature", path: "feature.txt", text: "newer\n" });
    const tip = (await server.branch(repo, "feature")) ?? "no branch";
    const followed = await delivery("pull_request_sync", "synchronized", tip);
    expect(followed.payload).toMatchObject({ number, pull_request: { head: { ref: "feature", sha: tip } } });
    expect((await server.pullRequest(repo, number)).head.sha).toBe(tip);
  });

  it("requests reviewers and tells official approvals from others", async () => {
    const { server, ways, dev, bot, reader, status, delivery, openFeature } = ground();
    const number = await openFeature("reviewed");
    const asked = await server.api(bot, "POST", `${R}/pulls/${number}/requested_reviewers`, {
      reviewers: ["dev"],
    });
    expect(asked.status).toBe(201);
    await delivery("pull_request_review_request", "review_requested", "reviewed");
    expect((await server.pullRequest(repo, number)).requestedReviewers).toEqual(["dev"]);
    const own = { event: "APPROVED", body: "mine" };
    expect(await status(bot, "POST", `${R}/pulls/${number}/reviews`, own)).toBe(422);
    expect(
      await status(bot, "POST", `${R}/pulls/${number}/requested_reviewers`, { reviewers: ["lazarus"] }),
    ).toBe(422);
    await server.review(dev, repo, { number, event: "COMMENT", body: "a remark" });
    expect((await server.pullRequest(repo, number)).requestedReviewers).toEqual(
      ways.remarkingIsRequested ? ["dev"] : [],
    );
    await server.review(dev, repo, { number, event: "REQUEST_CHANGES", body: "change it" });
    await server.review(reader, repo, { number, event: "APPROVED", body: "fine, says a reader" });
    await server.review(dev, repo, { number, event: "APPROVED", body: "fine now" });
    const list = (await server.api(bot, "GET", `${R}/pulls/${number}/reviews`)).json as Record<
      string,
      unknown
    >[];
    expect(list.map((one) => [one.state, one.official, one.body])).toEqual([
      ["COMMENT", false, "a remark"],
      ["REQUEST_CHANGES", false, "change it"],
      ["APPROVED", false, "fine, says a reader"],
      ["APPROVED", true, "fine now"],
    ]);
    const remark = await delivery("pull_request_review_comment", "reviewed", "a remark");
    expect(remark.headers["x-gitea-event"]).toBe("pull_request_comment");
    expect(remark.payload).toMatchObject({
      review: { type: "pull_request_review_comment", content: "a remark" },
    });
    const rejected = await delivery("pull_request_review_rejected", "reviewed", "change it");
    expect(rejected.headers["x-gitea-event"]).toBe("pull_request_rejected");
    await delivery("pull_request_review_approved", "reviewed", "says a reader");
  });

  it("tells comments on pull requests apart by their type", async () => {
    const { server, dev, delivery, openFeature } = ground();
    const number = await openFeature("commented");
    const { id } = await server.comment(dev, repo, { number, body: "on the pull request" });
    const found = await delivery("pull_request_comment", "created", "on the pull request");
    expect(found.headers["x-gitea-event"]).toBe("issue_comment");
    expect(found.payload).toMatchObject({
      is_pull: true,
      comment: { id, issue_url: "", pull_request_url: `${server.url}/${repo}/pulls/${number}` },
      pull_request: { number },
      issue: { number, pull_request: { draft: true, merged: false } },
    });
    expect((await server.comments(repo, number)).map((one) => one.id)).toEqual([id]);
    const issues = await server.api(dev, "GET", `${R}/issues?type=issues&limit=50`);
    expect((issues.json as { number: number }[]).some((one) => one.number === number)).toBe(false);
  });

  it("stores a comment by API on a pull request, whatever it answers", async () => {
    const { server, dev, openFeature } = ground();
    const number = await openFeature("by-api");
    const answer = await server.api(dev, "POST", `${R}/issues/${number}/comments`, { body: "by api" });
    expect([201, 500]).toContain(answer.status);
    if (answer.status === 500) expect(answer.headers.get("content-type")).toContain("text/html");
    expect((await server.comments(repo, number)).map((one) => one.body)).toEqual(["by api"]);
  });

  it("merges what is no draft any more, and closes what lost its branch", async () => {
    const { server, ways, dev, bot, status, delivery, openFeature } = ground();
    const number = await openFeature("merged");
    expect(await status(dev, "POST", `${R}/pulls/${number}/merge`, { Do: "merge" })).toBe(405);
    const edited = await server.api(bot, "PATCH", `${R}/pulls/${number}`, {
      title: "merged feature",
      body: "new text",
    });
    expect([edited.status, edited.json]).toMatchObject([
      201,
      { draft: false, title: "merged feature", body: "new text" },
    ]);
    await server.mergePullRequest(dev, repo, number);
    const closed = await delivery("pull_request", "closed", "merged feature");
    expect(closed.payload).toMatchObject({ pull_request: { merged: true, state: "closed" } });
    expect(await server.pullRequest(repo, number)).toMatchObject({ isMerged: true, isOpen: false });
    expect((await server.api(dev, "GET", `${R}/contents/merged.txt`)).status).toBe(200);

    const second = await openFeature("lost");
    expect(await status(dev, "DELETE", `${R}/branches/lost`)).toBe(204);
    await until("the pull request is closed", async () => !(await server.pullRequest(repo, second)).isOpen);
    expect((await server.pullRequest(repo, second)).head.ref).toBe(`refs/pull/${second}/head`);
    if (ways.deletionTold) await delivery("delete", undefined, '"ref": "lost"');
  });

  it("finds a pull request's head in the repository itself", async () => {
    const { server, dev, openFeature } = ground();
    const number = await openFeature("heads");
    const listed = await runGit("/", dev, [
      "ls-remote",
      `${server.url}/${repo}.git`,
      `refs/pull/${number}/head`,
    ]);
    expect(listed.stdout).toBe(`${await server.branch(repo, "heads")}\trefs/pull/${number}/head\n`);
  });
}
