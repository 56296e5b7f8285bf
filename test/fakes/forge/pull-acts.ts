import { setOpen } from "./acts.ts";
import { emitComment, emitReview, emitThread } from "./events.ts";
import { commitTree, git, tryGit } from "./git.ts";
import { hunkAt, type PullThread, pullCommits } from "./pull-payloads.ts";
import { moveBranch } from "./pushes.ts";
import { covers, permissionOf } from "./rights.ts";
import type { Comment, Pull, Repository, Review, User, World } from "./state.ts";

export interface NewPull {
  readonly by: User;
  readonly title: string;
  readonly body: string;
  readonly head: string;
  readonly base: string;
}

/** Opens a pull request between two branches of one repository; the branches must exist. */
export async function openPull(world: World, repo: Repository, wanted: NewPull): Promise<PullThread> {
  const pull: Pull = {
    id: world.nextId("pull"),
    headRepositoryId: repo.id,
    headBranch: wanted.head,
    baseBranch: wanted.base,
    hasHeadBranch: true,
    merged: null,
    reviews: [],
  };
  const thread = world.addThread(repo, wanted.by, { title: wanted.title, body: wanted.body, pull });
  const tip = await git(repo.dir, ["rev-parse", `refs/heads/${wanted.head}`]);
  await git(repo.dir, ["update-ref", `refs/pull/${thread.number}/head`, tip]);
  await emitThread(world, { repo, thread }, { by: wanted.by, action: "opened" });
  return thread;
}

export interface NewLine {
  readonly path: string;
  /** Of the new file, or 0. */
  readonly at: number;
  /** Of the old file, or 0. */
  readonly old?: number;
  readonly body: string;
}

export interface NewReview {
  readonly by: User;
  /** `PENDING`: it is begun, and not submitted. */
  readonly state: "APPROVED" | "REQUEST_CHANGES" | "COMMENT" | "PENDING";
  readonly body: string;
  /** What it says at lines. */
  readonly lines?: readonly NewLine[];
}

type At = { readonly repo: Repository; readonly thread: PullThread };

/**
 * Submits a review, or begins one. What its author had begun before becomes a part of it. An approval or a
 * rejection dismisses the same person's earlier ones.
 */
export async function addReview(world: World, at: At, wanted: NewReview): Promise<Review> {
  const { repo, thread } = at;
  const mayWrite = covers(permissionOf(world, repo, wanted.by), "write");
  const reviews = thread.pull.reviews;
  const mine = reviews.filter((one) => one.authorId === wanted.by.id);
  const isVerdict = wanted.state === "APPROVED" || wanted.state === "REQUEST_CHANGES";
  for (const earlier of isVerdict ? mine : []) {
    earlier.isOfficial = false;
    if (earlier.state === "APPROVED" || earlier.state === "REQUEST_CHANGES") earlier.isDismissed = true;
  }
  const asked = reviews.findIndex((one) => one.state === "REQUEST_REVIEW" && one.authorId === wanted.by.id);
  if (asked >= 0 && wanted.state !== "PENDING") reviews.splice(asked, 1);
  const begun = mine.find((one) => one.state === "PENDING");
  const { head } = await pullCommits(repo, thread);
  const review: Review = begun ?? {
    ...{ id: world.nextId("review"), authorId: wanted.by.id, commit: head, createdAt: world.now() },
    ...{ state: "PENDING", body: "", commentId: null },
    ...{ isOfficial: false, isDismissed: false, isStale: false },
  };
  if (begun === undefined) reviews.push(review);
  for (const line of wanted.lines ?? []) await addLine(world, at, { by: wanted.by, line, review });
  if (wanted.state === "PENDING") return review;
  review.state = wanted.state;
  review.body = wanted.body;
  review.isOfficial = wanted.state !== "COMMENT" && mayWrite;
  review.commentId = addReviewComment(world, at, review).id;
  thread.updatedAt = world.now();
  const kind = wanted.state === "APPROVED" ? "approved" : wanted.state === "COMMENT" ? "comment" : "rejected";
  await emitReview(world, at, { by: wanted.by, kind, content: wanted.body });
  return review;
}

/** What a review is in the conversation: its id is above those of what was said at its lines. */
function addReviewComment(world: World, { repo, thread }: At, review: Review): Comment {
  const now = world.now();
  const made: Comment = {
    ...{ id: world.nextId("comment"), repositoryId: repo.id, number: thread.number, reviewId: review.id },
    ...{ authorId: review.authorId, body: review.body, createdAt: now, updatedAt: now, reactions: [] },
  };
  world.comments.push(made);
  return made;
}

/** Stores a comment at a line. Deliveries of a review tell nothing of them. */
async function addLine(
  world: World,
  { repo, thread }: At,
  one: { readonly by: User; readonly line: NewLine; readonly review: Review },
): Promise<Comment> {
  const { path, at, old = 0, body } = one.line;
  const hunk = await hunkAt(repo, thread, { path, at, old });
  const now = world.now();
  const made: Comment = {
    ...{ id: world.nextId("comment"), repositoryId: repo.id, number: thread.number },
    ...{ authorId: one.by.id, body, createdAt: now, updatedAt: now, reactions: [] },
    line: { reviewId: one.review.id, path, at, old, hunk },
  };
  world.comments.push(made);
  return made;
}

/** Adds to the conversation that a review began, as Forgejo's API does: nobody is told. */
export async function addToReview(
  world: World,
  at: At,
  reply: { readonly by: User; readonly review: Review; readonly line: NewLine },
): Promise<Comment> {
  const made = await addLine(world, at, reply);
  at.thread.updatedAt = made.createdAt;
  return made;
}

/** Replies in the conversation at a line, as the browser does; that fires a delivery of a comment. */
export async function replyAtLine(
  world: World,
  at: { repo: Repository; thread: PullThread },
  reply: { by: User; to: Comment; body: string },
): Promise<Comment> {
  const { line } = reply.to;
  const review = at.thread.pull.reviews.find((one) => one.id === line?.reviewId);
  if (line === undefined || review === undefined) throw new Error("it stands at no line");
  const made = await addLine(world, at, { by: reply.by, review, line: { ...line, body: reply.body } });
  at.thread.updatedAt = made.createdAt;
  await emitComment(world, made, { by: reply.by, action: "created" });
  return made;
}

/** Asks somebody for a review; null where that was done before. */
export async function askReview(
  world: World,
  at: { repo: Repository; thread: PullThread },
  deed: { by: User; reviewer: User },
): Promise<Review | null> {
  const { thread } = at;
  const mine = thread.pull.reviews.filter((one) => one.authorId === deed.reviewer.id);
  if (mine.some((one) => one.state === "REQUEST_REVIEW")) return null;
  for (const earlier of mine) earlier.isOfficial = false;
  const review: Review = {
    id: world.nextId("review"),
    authorId: deed.reviewer.id,
    state: "REQUEST_REVIEW",
    body: "",
    commentId: null,
    commit: "",
    isOfficial: covers(permissionOf(world, at.repo, deed.reviewer), "write"),
    isDismissed: false,
    isStale: false,
    createdAt: world.now(),
  };
  thread.pull.reviews.push(review);
  thread.updatedAt = review.createdAt;
  const type = "pull_request_review_request";
  await emitThread(world, at, { by: deed.by, action: "review_requested", type, reviewer: deed.reviewer });
  return review;
}

/** Takes a request back: what that person said last counts again. */
export async function unaskReview(
  world: World,
  at: { repo: Repository; thread: PullThread },
  deed: { by: User; reviewer: User },
): Promise<void> {
  const { reviews } = at.thread.pull;
  const { by, reviewer } = deed;
  const index = reviews.findIndex((one) => one.authorId === reviewer.id && one.state === "REQUEST_REVIEW");
  if (index < 0) return;
  reviews.splice(index, 1);
  const last = reviews.findLast(
    (one) => one.authorId === reviewer.id && (one.state === "APPROVED" || one.state === "REQUEST_CHANGES"),
  );
  if (last !== undefined && !last.isDismissed)
    last.isOfficial = covers(permissionOf(world, at.repo, reviewer), "write");
  const type = "pull_request_review_request";
  await emitThread(world, at, { by, action: "review_request_removed", type, reviewer });
}

/** Merges with a merge commit; false where git finds a conflict. */
export async function mergePull(
  world: World,
  at: { repo: Repository; thread: PullThread },
  by: User,
): Promise<boolean> {
  const { repo, thread } = at;
  const { head, base } = await pullCommits(repo, thread);
  const merged = await tryGit(repo.dir, ["merge-tree", "--write-tree", base, head]);
  if (merged.code !== 0) return false;
  const tree = merged.stdout.split("\n")[0] ?? "";
  const message = `Merge pull request '${thread.title}' (#${thread.number}) from ${thread.pull.headBranch} into ${thread.pull.baseBranch}\n`;
  const author = { name: by.login, email: by.email };
  const commit = await commitTree(repo.dir, { tree, parents: [base, head], message, author });
  thread.pull.merged = { at: world.now(), byId: by.id, commit };
  await setOpen(world, at, { by, isOpen: false, isMerge: true });
  await moveBranch(world, repo, { by, branch: thread.pull.baseBranch, to: commit });
  return true;
}
