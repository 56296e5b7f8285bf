import { changeThread } from "./api-issues.ts";
import { branches } from "./git.ts";
import {
  bare,
  type Call,
  fields,
  json,
  may,
  mustUser,
  notFound,
  paged,
  pullOf,
  type Reply,
  type Route,
  refuse,
  repoOf,
  repoToWrite,
  textField,
  userOf,
} from "./http.ts";
import { isDraftTitle, lineJson } from "./payloads.ts";
import {
  addReview,
  addToReview,
  askReview,
  mergePull,
  type NewLine,
  openPull,
  unaskReview,
} from "./pull-acts.ts";
import {
  isPull,
  type PullThread,
  pullCommits,
  pullDiff,
  pullFiles,
  pullJson,
  reviewJson,
} from "./pull-payloads.ts";
import type { Review, User } from "./state.ts";

async function create(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const base = textField(call, "base") ?? "";
  const [first = "", second] = (textField(call, "head") ?? "").split(":");
  if (`${first}${second === undefined ? "" : `:${second}`}` === base) {
    throw refuse(call, 422, "Invalid PullRequest: There are no changes between the head and the base");
  }
  const isOwn =
    second === undefined || first.toLowerCase() === call.world.user(repo.ownerId).login.toLowerCase();
  if (!isOwn) throw notFound(call);
  const head = second ?? first;
  const known = await branches(repo.dir);
  if (repo.isEmpty) throw notFound(call);
  if (!known.has(base) || !known.has(head))
    throw notFound(call, known.has(base) ? undefined : "BaseNotExist");
  for (const thread of repo.threads.values()) {
    if (!isPull(thread) || !thread.isOpen) continue;
    if (thread.pull.headBranch !== head || thread.pull.baseBranch !== base) continue;
    const text = `pull request already exists for these targets [id: ${thread.pull.id}, issue_id: ${thread.number}, head_repo_id: ${repo.id}, base_repo_id: ${repo.id}, head_branch: ${head}, base_branch: ${base}]`;
    throw refuse(call, 409, text);
  }
  if (!may(call, repo, "write") && !repo.collaborators.has(by.id)) {
    throw refuse(call, 403, "user can not create a pull request here");
  }
  const title = textField(call, "title") ?? "";
  const thread = await openPull(call.world, repo, {
    by,
    title,
    body: textField(call, "body") ?? "",
    head,
    base,
  });
  for (const name of strings(fields(call).reviewers)) {
    const reviewer = call.world.userByLogin(name);
    if (reviewer) await askReview(call.world, { repo, thread }, { by, reviewer });
  }
  return json(201, await pullJson(call.world, { repo, thread }, by));
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

async function list(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const state = call.url.searchParams.get("state") ?? "open";
  const found = [...repo.threads.values()]
    .filter(isPull)
    .filter((thread) => state === "all" || thread.isOpen === (state !== "closed"))
    .reverse();
  const { items, headers } = paged(call, found);
  const viewer = userOf(call);
  return json(
    200,
    await Promise.all(items.map((thread) => pullJson(call.world, { repo, thread }, viewer))),
    headers,
  );
}

async function edit(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  if (thread.authorId !== by.id && !may(call, repo, "write")) return bare(403);
  const base = textField(call, "base");
  if (base !== undefined && base !== "") thread.pull.baseBranch = base;
  await changeThread(call, { repo, thread }, by);
  return json(201, await pullJson(call.world, { repo, thread }, by));
}

async function merge(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  if (thread.pull.merged || !thread.isOpen) return bare(405);
  if (isDraftTitle(thread.title)) throw refuse(call, 405, "Work in progress PRs cannot be merged");
  const wanted = textField(call, "head_commit_id") ?? "";
  const { head } = await pullCommits(repo, thread);
  if (wanted !== "" && wanted !== head) throw refuse(call, 409, "head out of date");
  const isMerged = await mergePull(call.world, { repo, thread }, by);
  if (!isMerged) throw refuse(call, 409, "merge conflict");
  return bare(200);
}

const EVENTS: Record<string, "APPROVED" | "REQUEST_CHANGES" | "COMMENT" | "PENDING"> = {
  "": "PENDING",
  PENDING: "PENDING",
  APPROVED: "APPROVED",
  REQUEST_CHANGES: "REQUEST_CHANGES",
  COMMENT: "COMMENT",
};

async function review(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  const state = EVENTS[textField(call, "event") ?? ""];
  const body = textField(call, "body") ?? "";
  if (!state) throw refuse(call, 422, "unknown review event");
  if (state !== "COMMENT" && state !== "PENDING" && thread.authorId === by.id) {
    throw refuse(
      call,
      422,
      state === "APPROVED" ? "approve your own pull is not allowed" : "reject your own pull is not allowed",
    );
  }
  if (state !== "COMMENT" && state !== "PENDING" && !thread.isOpen)
    throw refuse(call, 422, "can't submit review for a closed or merged PR");
  const lines = linesIn(fields(call).comments);
  // An empty remark is one where it says something at a line; a rejection needs words of its own.
  const isSaid = body.trim() !== "" || (state === "COMMENT" && lines.length > 0);
  if (state !== "APPROVED" && !isSaid)
    throw refuse(
      call,
      422,
      `review event ${state} requires a body${state === "COMMENT" ? " or a comment" : ""}`,
    );
  const made = await addReview(call.world, { repo, thread }, { by, state, body, lines });
  return json(200, reviewJson(call.world, { repo, thread, review: made }, by));
}

/** `comments` of a new review, as far as they can be read. */
function linesIn(value: unknown): NewLine[] {
  return Array.isArray(value) ? value.map(lineIn) : [];
}

function lineIn(one: Readonly<Record<string, unknown>>): NewLine {
  const [at, old] = [Number(one.new_position ?? 0), Number(one.old_position ?? 0)];
  return { path: String(one.path ?? ""), at, old: at > 0 ? 0 : old, body: String(one.body ?? "") };
}

function reviewOf(call: Call, thread: PullThread): Review {
  const review = thread.pull.reviews.find((one) => one.id === Number(call.params.id));
  if (review === undefined) throw notFound(call);
  return review;
}

/** Shown to all but what is not submitted yet, which is its author's alone. */
function shownTo(viewer: User | null, review: Review): boolean {
  return review.state !== "PENDING" || review.authorId === viewer?.id;
}

async function replyAtLine(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  if (!call.world.ways.repliesAtLines) return bare(405);
  const review = reviewOf(call, thread);
  const line = lineIn(fields(call));
  return json(
    200,
    lineJson(call.world, await addToReview(call.world, { repo, thread }, { by, review, line })),
  );
}

function removeReview(call: Call): Reply {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  const review = reviewOf(call, thread);
  if (review.authorId !== by.id && !may(call, repo, "admin")) return bare(403);
  thread.pull.reviews.splice(thread.pull.reviews.indexOf(review), 1);
  const { comments } = call.world;
  for (const one of [...comments])
    if (one.line?.reviewId === review.id || one.reviewId === review.id)
      comments.splice(comments.indexOf(one), 1);
  return bare(204);
}

/** Takes a rejection or approval back, as somebody who may. */
function dismiss(call: Call): Reply {
  const repo = repoToWrite(call, "write");
  const thread = pullOf(call, repo);
  const review = reviewOf(call, thread);
  review.isDismissed = true;
  review.isOfficial = false;
  return json(200, reviewJson(call.world, { repo, thread, review }, userOf(call)));
}

async function unrequestReviewers(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  for (const name of strings(fields(call).reviewers)) {
    const user = call.world.userByLogin(name);
    if (!user) throw notFound(call, `User '${name}' not exist`);
    await unaskReview(call.world, { repo, thread }, { by, reviewer: user });
  }
  return bare(204);
}

async function requestReviewers(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = pullOf(call, repo);
  const people: User[] = strings(fields(call).reviewers).map((name) => {
    const user = call.world.userByLogin(name);
    if (!user) throw notFound(call, `User '${name}' not exist`);
    return user;
  });
  for (const reviewer of people) {
    if (reviewer.id === thread.authorId) throw refuse(call, 422, "poster of pr can't be reviewer");
    if (!may(call, repo, "write") && thread.authorId !== by.id)
      throw refuse(call, 422, "Doer can't choose reviewer");
    const isAsked = thread.pull.reviews.some(
      (one) => one.authorId === reviewer.id && one.state === "REQUEST_REVIEW",
    );
    if (!thread.isOpen && !isAsked) throw refuse(call, 403, "cannot request review on a closed pull request");
  }
  const made = [];
  for (const reviewer of people) {
    const one = await askReview(call.world, { repo, thread }, { by, reviewer });
    if (one) made.push(reviewJson(call.world, { repo, thread, review: one }, by));
  }
  return json(201, made);
}

async function files(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const { items, headers } = paged(call, await pullFiles(repo, pullOf(call, repo)));
  const shown = items.map((file) => ({
    filename: file.path,
    status: file.status,
    additions: file.additions,
    deletions: file.deletions,
    changes: file.additions + file.deletions,
  }));
  return json(200, shown, headers);
}

async function byBaseHead(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const { base, head } = call.params;
  const thread = [...repo.threads.values()]
    .filter(isPull)
    .find((one) => one.pull.baseBranch === base && one.pull.headBranch === head);
  if (!thread) throw notFound(call);
  return json(200, await pullJson(call.world, { repo, thread }, userOf(call)));
}

const R = "/repos/:owner/:repo/pulls";

/** Pull requests and reviews. */
export const PULL_ROUTES: readonly Route[] = [
  { method: "GET", path: R, handler: list },
  { method: "POST", path: R, handler: create },
  {
    method: "GET",
    path: `${R}/:index.diff`,
    handler: async (call) => {
      const repo = repoOf(call);
      const headers = { "Content-Type": "text/plain; charset=utf-8" };
      return { status: 200, headers, body: await pullDiff(repo, pullOf(call, repo)) };
    },
  },
  {
    method: "GET",
    path: `${R}/:index`,
    handler: async (call) => {
      const repo = repoOf(call);
      return json(200, await pullJson(call.world, { repo, thread: pullOf(call, repo) }, userOf(call)));
    },
  },
  { method: "PATCH", path: `${R}/:index`, handler: edit },
  { method: "GET", path: `${R}/:index/files`, handler: files },
  { method: "POST", path: `${R}/:index/merge`, handler: merge },
  {
    method: "GET",
    path: `${R}/:index/reviews`,
    handler: (call) => {
      const repo = repoOf(call);
      const thread = pullOf(call, repo);
      const shown = thread.pull.reviews.filter((one) => shownTo(userOf(call), one));
      const { items, headers } = paged(call, shown);
      return json(
        200,
        items.map((one) => reviewJson(call.world, { repo, thread, review: one }, userOf(call))),
        headers,
      );
    },
  },
  { method: "POST", path: `${R}/:index/reviews`, handler: review },
  {
    method: "GET",
    path: `${R}/:index/reviews/:id/comments`,
    handler: (call) => {
      pullOf(call, repoOf(call));
      const lines = call.world.linesOf(Number(call.params.id));
      // Real servers tell them in any order: here the newest comes first.
      return json(
        200,
        [...lines].reverse().map((one) => lineJson(call.world, one)),
      );
    },
  },
  { method: "POST", path: `${R}/:index/reviews/:id/comments`, handler: replyAtLine },
  { method: "POST", path: `${R}/:index/reviews/:id/dismissals`, handler: dismiss },
  { method: "DELETE", path: `${R}/:index/reviews/:id`, handler: removeReview },
  { method: "POST", path: `${R}/:index/requested_reviewers`, handler: requestReviewers },
  { method: "DELETE", path: `${R}/:index/requested_reviewers`, handler: unrequestReviewers },
  { method: "GET", path: `${R}/:base/*head`, handler: byBaseHead },
];
