import { createHmac } from "node:crypto";
import { expect, it } from "vitest";
import { type Ground, R, repo, SECRET } from "./ground.ts";

/** Issues, comments, reactions, and how their deliveries look. */
export function issueFacts(ground: () => Ground): void {
  it("opens, edits and closes issues, and fires each", async () => {
    const { server, ways, dev, reader, status, delivery } = ground();
    const number = await server.openIssue(dev, repo, { title: "first title", body: "text" });
    const opened = await delivery("issues", "opened", "first title");
    expect(opened.payload).toMatchObject({
      number,
      issue: { number, pull_request: null, assignees: null, labels: [], user: { id: dev.id }, state: "open" },
      repository: { full_name: repo },
      sender: { id: dev.id },
    });
    const edited = await server.api(dev, "PATCH", `${R}/issues/${number}`, { title: "second title" });
    expect(edited.status).toBe(201);
    expect((await delivery("issues", "edited", "second title")).payload.changes).toEqual({
      title: { from: "first title" },
      ...(ways.editsTellLabels ? { added_labels: null, removed_labels: null } : {}),
    });
    expect(await status(reader, "PATCH", `${R}/issues/${number}`, { title: "mine" })).toBe(403);
    expect((await server.api(reader, "PATCH", `${R}/issues/${number}`, { title: "mine" })).text).toBe("");
    await server.closeIssue(dev, repo, number);
    await delivery("issues", "closed", "second title");
    expect(await status(dev, "GET", `${R}/issues/${number + 1000}`)).toBe(404);
    expect(await status(dev, "POST", `${R}/issues`, { body: "no title" })).toBe(422);
  });

  it("signs deliveries over their exact bytes and names them in all families of headers", async () => {
    const { server, dev, delivery } = ground();
    await server.openIssue(dev, repo, { title: "signed <title> & more", body: "ünïcode\nline" });
    const found = await delivery("issues", "opened", "more");
    const digest = (algorithm: string) => createHmac(algorithm, SECRET).update(found.body).digest("hex");
    const { headers } = found;
    expect(headers["x-hub-signature-256"]).toBe(`sha256=${digest("sha256")}`);
    expect(headers["x-hub-signature"]).toBe(`sha1=${digest("sha1")}`);
    expect(headers["x-gitea-signature"]).toBe(digest("sha256"));
    expect(headers["x-gogs-signature"]).toBe(digest("sha256"));
    for (const family of ["gitea", "gogs", "github"]) {
      expect(headers[`x-${family}-event`]).toBe("issues");
      expect(headers[`x-${family}-event-type`]).toBe("issues");
      expect(headers[`x-${family}-delivery`]).toBe(headers["x-gitea-delivery"]);
    }
    expect(headers["content-type"]).toBe("application/json");
    expect(found.body.startsWith('{\n  "action": "opened",\n  "number": ')).toBe(true);
    expect(found.body).toContain("signed \\u003ctitle\\u003e \\u0026 more");
  });

  it("sends empty digests where the hook has no secret, and nothing where it is not active", async () => {
    const { server, listener, dev, status, delivery } = ground();
    await server.createRepository({ owner: "acme", name: "unsigned" });
    const config = { url: `${listener.url}?unsigned`, content_type: "json" };
    const make = (more: object) =>
      server.api(server.admin, "POST", "/repos/acme/unsigned/hooks", { type: "gitea", config, ...more });
    const silent = await make({ events: ["issues"] });
    expect(silent.json).toMatchObject({ active: false });
    expect((await make({ events: ["issues_only"], active: true })).json).toMatchObject({
      active: true,
      events: ["issues"],
    });
    await server.openIssue(dev, "acme/unsigned", { title: "unsigned one", body: "" });
    const found = await delivery("issues", "opened", "unsigned one");
    expect(found.headers["x-hub-signature-256"]).toBe("sha256=");
    expect(found.headers["x-hub-signature"]).toBe("sha1=");
    expect(found.headers["x-gitea-signature"]).toBe("");
    expect(listener.received.filter((one) => one.body.includes("unsigned one"))).toHaveLength(1);
    expect(await status(dev, "GET", "/repos/acme/unsigned/hooks")).toBe(403);
  });

  it("keeps comments by API as they are: all at once, oldest first, since a second", async () => {
    const { server, ways, dev, delivery } = ground();
    const number = await server.openIssue(dev, repo, { title: "talk", body: "" });
    const first = await server.comment(dev, repo, { number, body: "<!-- marker -->\nfirst" });
    const created = await delivery("issue_comment", "created", "marker");
    expect(created.headers["x-gitea-event"]).toBe("issue_comment");
    expect(created.payload).toMatchObject({
      is_pull: false,
      comment: { id: first.id },
      issue: { number, comments: ways.firstCommentCounts },
    });
    expect(created.payload).not.toHaveProperty("pull_request");
    for (let index = 0; index < 55; index += 1)
      await server.comment(dev, repo, { number, body: `n ${index}` });
    const all = await server.comments(repo, number);
    expect(all).toHaveLength(56);
    expect(all[0]).toMatchObject({ id: first.id, author: "dev", body: "<!-- marker -->\nfirst" });
    const listed = await server.api(dev, "GET", `${R}/issues/comments`);
    expect((listed.json as unknown[]).length).toBeGreaterThanOrEqual(56);
    const page = await server.api(dev, "GET", `${R}/issues/comments?page=1&limit=1000`);
    expect(page.json).toHaveLength(50);
    const at = (
      (await server.api(dev, "GET", `${R}/issues/comments/${first.id}`)).json as { updated_at: string }
    ).updated_at;
    const since = await server.api(dev, "GET", `${R}/issues/${number}/comments?since=${at}`);
    expect((since.json as { id: number }[])[0]?.id).toBe(first.id);
    const later = await server.api(dev, "GET", `${R}/issues/${number}/comments?since=2999-01-01T00:00:00Z`);
    expect(later.json).toEqual([]);
  });

  it("answers 500 without words to a comment on a missing issue, and 422 to an empty one", async () => {
    const { server, dev, status } = ground();
    const answer = await server.api(dev, "POST", `${R}/issues/99999/comments`, { body: "x" });
    expect(answer.status).toBe(500);
    expect(answer.json).toMatchObject({ message: "" });
    expect(await status(dev, "GET", `${R}/issues/99999/comments`)).toBe(500);
    const number = await server.openIssue(dev, repo, { title: "empty", body: "" });
    expect(await status(dev, "POST", `${R}/issues/${number}/comments`, { body: "" })).toBe(422);
  });

  it("lets authors and writers edit and delete comments, others get a bare 403", async () => {
    const { server, dev, reader, status, delivery } = ground();
    const number = await server.openIssue(dev, repo, { title: "edits", body: "" });
    const { id } = await server.comment(reader, repo, { number, body: "old text" });
    await server.editComment(dev, repo, { id, body: "edited text" });
    const edited = await delivery("issue_comment", "edited", "edited text");
    expect(edited.payload).toMatchObject({ changes: { body: { from: "old text" } }, sender: { id: dev.id } });
    const mine = await server.comment(dev, repo, { number, body: "mine" });
    const refused = await server.api(reader, "PATCH", `${R}/issues/comments/${mine.id}`, { body: "taken" });
    expect([refused.status, refused.text]).toEqual([403, ""]);
    await server.deleteComment(reader, repo, id);
    await delivery("issue_comment", "deleted", "edited text");
    expect(await status(dev, "GET", `${R}/issues/comments/${id}`)).toBe(404);
    expect(await status(dev, "PATCH", `${R}/issues/comments/${id}`, { body: "x" })).toBe(404);
    expect(await status(dev, "DELETE", `${R}/issues/comments/${id}`)).toBe(404);
  });

  it("keeps one reaction of a kind and person, and null where there is none", async () => {
    const { server, dev, bot, status } = ground();
    const number = await server.openIssue(dev, repo, { title: "reactions", body: "" });
    const { id } = await server.comment(dev, repo, { number, body: "react" });
    const path = `${R}/issues/comments/${id}/reactions`;
    expect((await server.api(bot, "GET", path)).json).toBe(null);
    expect(await status(bot, "POST", path, { content: "eyes" })).toBe(201);
    expect(await status(bot, "POST", path, { content: "eyes" })).toBe(200);
    expect(await status(bot, "POST", path, { content: "no-such" })).toBe(403);
    expect(await server.reactions(repo, id)).toEqual([{ content: "eyes", user: "lazarus" }]);
    expect(await status(bot, "DELETE", path, { content: "eyes" })).toBe(200);
    expect(await server.reactions(repo, id)).toEqual([]);
  });

  it("keeps CRLF of a comment typed in the browser", async () => {
    const { server, dev, delivery } = ground();
    const number = await server.openIssue(dev, repo, { title: "browser", body: "" });
    const { id } = await server.commentInBrowser(dev, repo, { number, body: "typed\nby hand" });
    const found = await delivery("issue_comment", "created", "by hand");
    expect(found.payload).toMatchObject({ comment: { id, body: "typed\r\nby hand" } });
  });

  it("cuts lists at 50 without a word and counts them in headers", async () => {
    const { server, dev } = ground();
    const answer = await server.api(dev, "GET", `${R}/issues?state=all&limit=2&page=2`);
    expect(answer.json).toHaveLength(2);
    expect(Number(answer.headers.get("x-total-count"))).toBeGreaterThan(4);
    expect(answer.headers.get("link")).toContain('rel="next"');
    expect(answer.headers.get("link")).toContain('rel="prev"');
    const numbers = (answer.json as { number: number }[]).map((one) => one.number);
    expect(numbers[0]).toBeGreaterThan(numbers[1] ?? 0);
    const future = await server.api(dev, "GET", `${R}/issues?state=all&since=2999-01-01T00:00:00Z`);
    expect(future.json).toEqual([]);
  });
}
