import { setOpen } from "./acts.ts";
import { emitComment, emitReview, emitThread } from "./events.ts";
import { commitTree, git, tryGit } from "./git.ts";
import { type PullThread, pullCommits } from "./pull-payloads.ts";
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

export interface NewReview {
  readonly by: User;
  readonly state: "APPROVED" | "REQUEST_CHANGES" | "COMMENT";
  readonly body: string;
  /** What it says at lines. */
  readonly lines?: readonly { readonly path: string; readonly at: number; readonly body: string }[];
}

/** Submits a review: an official one takes the mark from the same person's earlier ones. */
export async function addReview(
  world: World,
  at: { repo: Repository; thread: PullThread },
  wanted: NewReview,
): Promise<Review> {
  const { repo, thread } = at;
  const mayWrite = covers(permissionOf(world, repo, wanted.by), "write");
  const isOfficial = wanted.state !== "COMMENT" && mayWrite;
  const reviews = thread.pull.reviews;
  for (const earlier of reviews) {
    if (wanted.state !== "COMMENT" && earlier.authorId === wanted.by.id) earlier.isOfficial = false;
  }
  const asked = reviews.findIndex((one) => one.state === "REQUEST_REVIEW" && one.authorId === wanted.by.id);
  if (asked >= 0) reviews.splice(asked, 1);
  const { head } = await pullCommits(repo, thread);
  const review: Review = {
    id: world.nextId("review"),
    authorId: wanted.by.id,
    state: wanted.state,
    body: wanted.body,
    commit: head,
    isOfficial,
    isDismissed: false,
    isStale: false,
    createdAt: world.now(),
  };
  reviews.push(review);
  for (const { path, at: line, body } of wanted.lines ?? [])
    addLine(world, at, { by: wanted.by, body, line: { reviewId: review.id, path, at: line } });
  thread.updatedAt = review.createdAt;
  const kind = wanted.state === "APPROVED" ? "approved" : wanted.state === "COMMENT" ? "comment" : "rejected";
  await emitReview(world, at, { by: wanted.by, kind, content: wanted.body });
  return review;
}

/** Stores a comment at a line. Deliveries of a review tell nothing of them. */
function addLine(
  world: World,
  { repo, thread }: { repo: Repository; thread: PullThread },
  one: { by: User; body: string; line: NonNullable<Comment["line"]> },
): Comment {
  const now = world.now();
  const made: Comment = {
    ...{ id: world.nextId("comment"), repositoryId: repo.id, number: thread.number },
    ...{ authorId: one.by.id, body: one.body, createdAt: now, updatedAt: now, reactions: [], line: one.line },
  };
  world.comments.push(made);
  return made;
}

/** Replies in the conversation at a line, as the browser does; that fires a delivery of a comment. */
export async function replyAtLine(
  world: World,
  at: { repo: Repository; thread: PullThread },
  reply: { by: User; to: Comment; body: string },
): Promise<Comment> {
  const { line } = reply.to;
  if (line === undefined) throw new Error("it stands at no line");
  const made = addLine(world, at, { by: reply.by, body: reply.body, line });
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
