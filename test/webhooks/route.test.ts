import { describe, expect, it } from "vitest";
import { route } from "../../src/webhooks/route.ts";
import { type Recorded, recordedDeliveries, recordedDelivery } from "../fakes/recorded.ts";

const typeOf = (one: Recorded) => one.headers["X-Gitea-Event-Type"] ?? "";
const routed = (one: Recorded) => route(typeOf(one), JSON.parse(one.body));

/** What each is to us, by the table of what real servers send (name without number, as recorded). */
const COMMENTS = [
  "comment-created-api",
  "comment-created-web-crlf",
  "comment-and-close-web-1",
  "comment-unicode",
  "pr-comment",
  "pr-comment-web",
];
const MOVED = [
  "issue-edited-body",
  "issue-edited-title",
  "issue-opened-1",
  "issue-opened-labels-assignees-2",
  "issue-opened-form-1",
  "comment-deleted",
  "comment-and-close-web-2",
  "issue-reopened",
  "pr-opened-draft",
  "review-comment",
  "review-request-changes",
  "review-approved-by-reader",
  "review-approved-by-owner",
  "review-single-comment-web",
  "pr-merged-1",
  "pr-opened-3",
  "pr-closed",
];

describe("a recorded delivery", () => {
  it("is one of 87", () => {
    expect(recordedDeliveries()).toHaveLength(87);
  });

  it.each(["gitea", "forgejo"])("of %s means what was seen to happen", (server) => {
    const kinds = new Map<string, string[]>();
    for (const one of recordedDeliveries().filter((each) => each.server === server)) {
      const { kind } = routed(one);
      kinds.set(kind, [...(kinds.get(kind) ?? []), one.name.replace(/^\d+-/, "")]);
    }
    expect(kinds.get("comment-created")?.sort()).toEqual([...COMMENTS].sort());
    expect(kinds.get("thread-moved")?.sort()).toEqual([...MOVED].sort());
  });

  it("names its thread by repository id and number, and who did it", () => {
    expect(routed(recordedDelivery("comment-created-web-crlf"))).toEqual({
      kind: "comment-created",
      thread: {
        repository: { id: expect.any(Number), fullName: "acme/app" },
        number: expect.any(Number),
        senderId: expect.any(Number),
      },
      comment: { id: expect.any(Number), body: expect.stringContaining("\r\n") },
      issue: { title: expect.any(String), body: expect.any(String) },
    });
  });

  it("of a review names its pull request", () => {
    const one = recordedDelivery("review-request-changes");
    expect(routed(one)).toMatchObject({
      kind: "thread-moved",
      thread: { number: JSON.parse(one.body).number },
    });
  });

  it("with an empty event is told by its type", () => {
    const one = recordedDelivery("status-posted");
    expect(one.headers["X-Gitea-Event"]).toBe("");
    expect(routed(one)).toEqual({ kind: "ignored", reason: "nothing follows from status" });
  });
});

describe("what nobody recorded", () => {
  it.each([
    ["", {}, "it names no event type"],
    ["constructor", {}, "nothing follows from constructor"],
    ["__proto__", { action: "x" }, "nothing follows from __proto__ x"],
    ["issues", { action: "pinned" }, "nothing follows from issues pinned"],
    ["issue_comment", { action: 7 }, "nothing follows from issue_comment"],
  ])("is ignored with a reason: %s", (type, payload, reason) => {
    expect(route(type, payload)).toEqual({ kind: "ignored", reason });
  });

  const good = JSON.parse(recordedDelivery("comment-created-api").body) as Record<string, unknown>;
  const shapes: [string, unknown][] = [
    ["null", null],
    ["a number", 7],
    ["a list", [good]],
    ["without a repository", { ...good, repository: null }],
    ["a repository whose id is text", { ...good, repository: { id: "7", full_name: "acme/app" } }],
    ["without a sender", { ...good, sender: undefined }],
    ["a comment without id", { ...good, comment: { body: "/lazarus help" } }],
    ["an issue that is a list", { ...good, issue: [1] }],
    ["a name of a million characters", { ...good, repository: { id: 7, full_name: "a".repeat(1e6) } }],
  ];
  it.each(shapes)("does not throw and is ignored: %s", (_what, payload) => {
    expect(route("issue_comment", payload).kind).toBe("ignored");
  });

  it("survives every recorded payload under every type, cut and bent", () => {
    const types = [...new Set(recordedDeliveries().map(typeOf))];
    for (const one of recordedDeliveries()) {
      const payload = JSON.parse(one.body) as Record<string, unknown>;
      for (const type of types) {
        for (const key of Object.keys(payload)) {
          const { [key]: _gone, ...cut } = payload;
          expect(route(type, cut).kind).toBeTypeOf("string");
          expect(route(type, { ...payload, [key]: [] }).kind).toBeTypeOf("string");
        }
      }
    }
  });
});
