import { branches, git, ZERO } from "./git.ts";
import {
  ALL_RIGHTS,
  commentJson,
  issueJson,
  type Json,
  repositoryJson,
  rightsOf,
  userJson,
} from "./payloads.ts";
import { commitJson, isPull, type PullThread, pullJson } from "./pull-payloads.ts";
import type { Comment, Hook, Repository, Thread, User, World } from "./state.ts";

const ISSUE_FLAGS = ["issue_assign", "issue_label", "issue_milestone", "issue_comment"];
const PULL_FLAGS = [
  "pull_request_assign",
  "pull_request_label",
  "pull_request_milestone",
  "pull_request_comment",
  "pull_request_review",
  "pull_request_review_request",
  "pull_request_sync",
];
const PLAIN_FLAGS = ["create", "delete", "push", "fork", "wiki", "repository", "release", "package"];

/**
 * Spreads the names of a create-hook call as Gitea does: umbrella names widen, unknown ones vanish, none is
 * `push`.
 */
export function subscribe(names: readonly string[]): Set<string> {
  const flags = new Set<string>();
  for (const name of names.length > 0 ? names : ["push"]) {
    if (name === "issues") for (const flag of ["issues", ...ISSUE_FLAGS]) flags.add(flag);
    else if (name === "issues_only") flags.add("issues");
    else if (name === "pull_request") for (const flag of ["pull_request", ...PULL_FLAGS]) flags.add(flag);
    else if (name === "pull_request_only") flags.add("pull_request");
    else if ([...ISSUE_FLAGS, ...PULL_FLAGS, ...PLAIN_FLAGS].includes(name)) flags.add(name);
  }
  return flags;
}

/** The Event-Type names a hook listens to: these, not the subscribed names, stand in a hook's JSON. */
export function eventTypes(hook: Hook): string[] {
  return [...hook.flags].flatMap((flag) => {
    if (flag === "pull_request_comment") return [flag, "pull_request_review_comment"];
    if (flag === "pull_request_review")
      return ["pull_request_review_approved", "pull_request_review_rejected"];
    return [flag];
  });
}

/** Queues one delivery for every active hook of the repository that listens to it. */
export function emit(world: World, repo: Repository, event: { type: string; payload: Json }): void {
  for (const hook of repo.hooks) {
    if (!hook.active) continue;
    if (event.type !== "status" && !eventTypes(hook).includes(event.type)) continue;
    world.deliveries.put(hook, event.type, event.payload);
  }
}

export interface At {
  readonly repo: Repository;
  readonly thread: Thread;
}

/** `issues`, or `pull_request` where the thread is one: opened, closed, reopened, edited and the like. */
export async function emitThread(
  world: World,
  at: At,
  deed: { by: User; action: string; type?: string; changes?: Json; reviewer?: User },
): Promise<void> {
  const { repo, thread } = at;
  const author = world.user(thread.authorId);
  const type = deed.type ?? (thread.pull ? "pull_request" : "issues");
  const rights = type === "pull_request_sync" ? ALL_RIGHTS : rightsOf(world, repo, author);
  const head = {
    action: deed.action,
    number: thread.number,
    ...(deed.changes ? { changes: { ...deed.changes, ...labelChanges(world) } } : {}),
  };
  const tail = {
    repository: repositoryJson(world, repo, rights),
    sender: userJson(world, deed.by, null),
    commit_id: "",
  };
  if (!isPull(thread)) {
    return emit(world, repo, { type, payload: { ...head, issue: issueJson(world, at, author), ...tail } });
  }
  const payload = {
    ...head,
    pull_request: await pullJson(world, { repo, thread }, author),
    requested_reviewer: deed.reviewer ? userJson(world, deed.reviewer, null) : null,
    ...tail,
    review: null,
  };
  emit(world, repo, { type, payload });
}

function labelChanges(world: World): Json {
  return world.ways.editsTellLabels ? { added_labels: null, removed_labels: null } : {};
}

/** `issue_comment`, with Event-Type `pull_request_comment` on pull requests. */
export async function emitComment(
  world: World,
  comment: Comment,
  deed: { by: User; action: "created" | "edited" | "deleted"; from?: string },
): Promise<void> {
  const repo = world.repository(comment.repositoryId);
  const thread = world.mustThread(repo, comment.number);
  const author = world.user(thread.authorId);
  const issue = issueJson(world, { repo, thread }, author);
  // Older servers make the payload before they count the new comment.
  if (deed.action === "created" && world.ways.firstCommentCounts === 0)
    issue.comments = Math.max(0, Number(issue.comments) - 1);
  const payload: Json = {
    action: deed.action,
    issue,
    ...(isPull(thread) ? { pull_request: await pullJson(world, { repo, thread }, author) } : {}),
    comment: commentJson(world, comment),
    ...(deed.from === undefined ? {} : { changes: { body: { from: deed.from }, ...labelChanges(world) } }),
    repository: repositoryJson(world, repo, rightsOf(world, repo, deed.by)),
    sender: userJson(world, deed.by, null),
    is_pull: isPull(thread),
  };
  emit(world, repo, { type: thread.pull ? "pull_request_comment" : "issue_comment", payload });
}

/** A submitted review: it carries its kind and text, and no id. */
export async function emitReview(
  world: World,
  at: { repo: Repository; thread: PullThread },
  review: { by: User; kind: "approved" | "rejected" | "comment"; content: string },
): Promise<void> {
  const author = world.user(at.thread.authorId);
  const type = `pull_request_review_${review.kind}`;
  const payload = {
    action: "reviewed",
    number: at.thread.number,
    pull_request: await pullJson(world, at, author),
    requested_reviewer: userJson(world, review.by, null),
    repository: repositoryJson(world, at.repo, rightsOf(world, at.repo, author)),
    sender: userJson(world, review.by, null),
    commit_id: "",
    review: { type, content: review.content },
  };
  emit(world, at.repo, { type, payload });
}

/** What one moved ref fires: create and push, push, or delete alone. */
export async function emitPush(
  world: World,
  repo: Repository,
  move: { by: User; branch: string; before: string; after: string },
): Promise<void> {
  const person = userJson(world, move.by, null);
  if (move.after === ZERO) {
    const repository = repositoryJson(world, repo, ALL_RIGHTS);
    const payload = { ref: move.branch, ref_type: "branch", pusher_type: "user", repository, sender: person };
    return emit(world, repo, { type: "delete", payload });
  }
  if (move.before === ZERO) {
    const repository = repositoryJson(world, repo, { admin: false, push: false, pull: false });
    const payload = { sha: move.after, ref: move.branch, ref_type: "branch", repository, sender: person };
    emit(world, repo, { type: "create", payload });
  }
  emit(world, repo, { type: "push", payload: await pushPayload(world, repo, move) });
}

/** What a push tells; of a test delivery, in which nothing moved, too. */
export async function pushPayload(
  world: World,
  repo: Repository,
  move: { by: User; branch: string; before: string; after: string },
): Promise<Json> {
  const person = userJson(world, move.by, null);
  const ids = await pushedCommits(repo, move);
  const commits = await Promise.all(ids.slice(0, 5).map((id) => commitJson(world, repo, id)));
  const url = `${world.url}/${world.fullName(repo)}`;
  return {
    ref: `refs/heads/${move.branch}`,
    before: move.before,
    after: move.after,
    compare_url:
      move.before === ZERO ? `${url}/commit/${move.after}` : `${url}/compare/${move.before}...${move.after}`,
    commits,
    total_commits: ids.length,
    head_commit: await commitJson(world, repo, move.after),
    repository: repositoryJson(world, repo, ALL_RIGHTS),
    pusher: person,
    sender: person,
  };
}

async function pushedCommits(
  repo: Repository,
  move: { branch: string; before: string; after: string },
): Promise<string[]> {
  const others = [...(await branches(repo.dir)).keys()].filter((name) => name !== move.branch);
  const known = move.before === ZERO ? others.map((name) => `^refs/heads/${name}`) : [`^${move.before}`];
  const text = await git(repo.dir, ["rev-list", "--max-count=10", move.after, ...known]);
  return text === "" ? [] : text.split("\n");
}
