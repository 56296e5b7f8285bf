import { expect, it } from "vitest";
import { type Ground, R } from "./ground.ts";

interface Seen {
  readonly id: number;
  readonly state: string;
  readonly official: boolean;
  readonly dismissed: boolean;
  readonly body: string;
  readonly html_url: string;
  readonly comments_count: number;
  readonly commit_id: string;
}
interface SeenLine {
  readonly id: number;
  readonly body: string;
  readonly path: string;
  readonly position: number;
  readonly original_position: number;
  readonly diff_hunk: string;
  readonly resolver: unknown;
  readonly user: { readonly login: string };
}

/** Reviews and what they say at lines, as far as the review loop relies on it. */
export function reviewFacts(ground: () => Ground): void {
  const reviewsOf = async (number: number) =>
    (await ground().server.api(ground().bot, "GET", `${R}/pulls/${number}/reviews`)).json as Seen[];
  const linesOf = async (number: number, id: number) =>
    (await ground().server.api(ground().bot, "GET", `${R}/pulls/${number}/reviews/${id}/comments`))
      .json as SeenLine[];
  const review = (as: "bot" | "dev" | "reader", number: number, wanted: object) =>
    ground().server.api(ground()[as], "POST", `${R}/pulls/${number}/reviews`, wanted);

  it("tells the lines of a review's comments, whose ids are below that of the review's own", async () => {
    const number = await ground().openFeature("reviewed-at-lines");
    const made = await review("dev", number, {
      ...{ event: "REQUEST_CHANGES", body: "change it" },
      comments: [
        { path: "reviewed-at-lines.txt", new_position: 1, body: "one" },
        { path: "nowhere.txt", new_position: 7, body: "two" },
        { path: "README.md", old_position: 1, body: "old" },
      ],
    });
    expect(made.status).toBe(200);
    const { id, html_url, comments_count, commit_id } = made.json as Seen;
    const own = Number(/#issuecomment-(\d+)$/.exec(html_url)?.[1]);
    const lines = (await linesOf(number, id)).sort((a, b) => a.id - b.id);
    expect(lines.map((one) => [one.body, one.path, one.position, one.original_position])).toEqual([
      ["one", "reviewed-at-lines.txt", 1, 0],
      ["two", "nowhere.txt", 7, 0],
      ["old", "README.md", 0, 1],
    ]);
    expect([comments_count, ...lines.map((one) => one.id < own)]).toEqual([3, true, true, true]);
    expect(lines.map((one) => one.resolver)).toEqual([null, null, null]);
    expect(lines[0]?.diff_hunk).toMatch(/^@@ /);
    expect(lines[1]?.diff_hunk).toBe("");
    expect(commit_id).toBe(await ground().server.branch("acme/app", "reviewed-at-lines"));
    // What a review is in the conversation bears reactions, and is told by no other call.
    const path = `${R}/issues/comments/${own}`;
    expect(await ground().status(ground().bot, "GET", path)).toBe(204);
    expect(await ground().status(ground().bot, "POST", `${path}/reactions`, { content: "eyes" })).toBe(201);
    const reactions = await ground().server.reactions("acme/app", own);
    expect(reactions).toEqual([{ user: "lazarus", content: "eyes" }]);
  });

  it("dismisses a person's earlier request for changes with a later one, or an approval", async () => {
    const number = await ground().openFeature("reviewed-twice");
    for (const [event, body] of [
      ["REQUEST_CHANGES", "one"],
      ["REQUEST_CHANGES", "two"],
      ["APPROVED", "fine"],
    ])
      expect((await review("dev", number, { event, body })).status).toBe(200);
    expect((await reviewsOf(number)).map((one) => [one.body, one.official, one.dismissed])).toEqual([
      ["one", false, true],
      ["two", false, true],
      ["fine", true, false],
    ]);
  });

  it("takes from a rejection what it counts for when its author is asked again, and gives it back", async () => {
    const number = await ground().openFeature("reviewed-again");
    expect((await review("dev", number, { event: "REQUEST_CHANGES", body: "change it" })).status).toBe(200);
    const path = `${R}/pulls/${number}/requested_reviewers`;
    const official = async () =>
      (await reviewsOf(number)).find((one) => one.state === "REQUEST_CHANGES")?.official;
    expect(await official()).toBe(true);
    expect(await ground().status(ground().bot, "POST", path, { reviewers: ["dev"] })).toBe(201);
    expect(await official()).toBe(false);
    expect(await ground().status(ground().bot, "DELETE", path, { reviewers: ["dev"] })).toBe(204);
    expect(await official()).toBe(true);
    // Once more is no fault.
    expect(await ground().status(ground().bot, "DELETE", path, { reviewers: ["dev"] })).toBe(204);
  });

  it("lets a review that was begun, and not submitted, into the next one; only its author sees it", async () => {
    const number = await ground().openFeature("reviewed-half");
    const half = {
      event: "PENDING",
      body: "begun",
      comments: [{ path: "reviewed-half.txt", new_position: 1, body: "half" }],
    };
    const begun = (await review("bot", number, half)).json as Seen;
    expect((await reviewsOf(number)).map((one) => one.state)).toEqual(["PENDING"]);
    const seen = (await ground().server.api(ground().dev, "GET", `${R}/pulls/${number}/reviews`)).json as
      | Seen[]
      | null;
    expect(seen ?? []).toEqual([]);
    const whole = {
      event: "COMMENT",
      body: "whole",
      comments: [{ path: "reviewed-half.txt", new_position: 1, body: "rest" }],
    };
    const made = (await review("bot", number, whole)).json as Seen;
    expect(made.id).toBe(begun.id);
    expect((await linesOf(number, made.id)).map((one) => one.body).sort()).toEqual(["half", "rest"]);
    const again = (await review("bot", number, half)).json as Seen;
    expect(again.id).not.toBe(made.id);
    expect(await ground().status(ground().bot, "DELETE", `${R}/pulls/${number}/reviews/${again.id}`)).toBe(
      204,
    );
    expect((await reviewsOf(number)).map((one) => one.state)).toEqual(["COMMENT"]);
  });

  it("has, or has not, a call that answers in a conversation at a line", async () => {
    const number = await ground().openFeature("reviewed-thread");
    const lines = [{ path: "reviewed-thread.txt", new_position: 1, body: "why?" }];
    const made = (await review("dev", number, { event: "COMMENT", body: "", comments: lines })).json as Seen;
    const reply = { path: "reviewed-thread.txt", new_position: 1, old_position: 0, body: "because" };
    const path = `${R}/pulls/${number}/reviews/${made.id}/comments`;
    const status = await ground().status(ground().bot, "POST", path, reply);
    const bodies = (await linesOf(number, made.id)).map((one) => [one.user.login, one.body]).sort();
    if (ground().ways.repliesAtLines) {
      expect(status).toBe(200);
      expect(bodies).toEqual([
        ["dev", "why?"],
        ["lazarus", "because"],
      ]);
    } else {
      expect(status).toBe(405);
      expect(bodies).toEqual([["dev", "why?"]]);
    }
  });
}
