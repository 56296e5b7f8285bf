import { gitOnce, resolveCommit, tryGitOnce } from "./git.ts";
import {
  ALL_RIGHTS,
  assigneesJson,
  commentCount,
  isDraftTitle,
  type Json,
  labelsJson,
  repositoryJson,
  rightsOf,
  threadUrl,
  userJson,
} from "./payloads.ts";
import {
  type Pull,
  type Repository,
  type Review,
  stamp,
  type Thread,
  type User,
  type World,
} from "./state.ts";

export interface PullThread extends Thread {
  readonly pull: Pull;
}

/** Whether a thread is a pull request, for the compiler. */
export function isPull(thread: Thread): thread is PullThread {
  return thread.pull !== null;
}

export interface PullCommits {
  readonly head: string;
  readonly base: string;
  readonly mergeBase: string;
}

/** Head, base and merge base as git knows them at this moment. */
export async function pullCommits(repo: Repository, thread: PullThread): Promise<PullCommits> {
  const head = (await resolveCommit(repo.dir, `refs/pull/${thread.number}/head`)) ?? "";
  const base = (await resolveCommit(repo.dir, `refs/heads/${thread.pull.baseBranch}`)) ?? "";
  if (thread.pull.merged) {
    const parent = (await resolveCommit(repo.dir, `${thread.pull.merged.commit}^1`)) ?? base;
    return { head, base, mergeBase: await mergeBase(repo.dir, parent, head) };
  }
  return { head, base, mergeBase: await mergeBase(repo.dir, base, head) };
}

async function mergeBase(dir: string, base: string, head: string): Promise<string> {
  if (base === "" || head === "") return "";
  const answer = await tryGitOnce(dir, ["merge-base", base, head]);
  return answer.code === 0 ? answer.stdout.trim() : "";
}

/** Text of `git diff` from the merge base to the head, as `/pulls/N.diff` shows it. */
export async function pullDiff(repo: Repository, thread: PullThread): Promise<string> {
  const { head, mergeBase: base } = await pullCommits(repo, thread);
  if (head === "" || base === "") return "";
  return (await tryGitOnce(repo.dir, ["diff", "-p", "--full-index", base, head])).stdout;
}

/**
 * The piece of a pull request's diff that ends at a line of the new file, or of the old one; empty where the
 * diff has no such line.
 */
export async function hunkAt(
  repo: Repository,
  thread: PullThread,
  place: { readonly path: string; readonly at: number; readonly old: number },
): Promise<string> {
  const file = (await pullDiff(repo, thread))
    .split(/^(?=diff --git )/m)
    .find((part) => part.includes(`\n+++ b/${place.path}\n`) || part.includes(`\n--- a/${place.path}\n`));
  let [found, old, at]: [string[], number, number] = [[], 0, 0];
  for (const line of file?.split("\n") ?? []) {
    const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
    if (head !== null) [found, old, at] = [[line], Number(head[1]) - 1, Number(head[2]) - 1];
    else if (found.length > 0) {
      found.push(line);
      if (!line.startsWith("+")) old++;
      if (!line.startsWith("-")) at++;
      const isNew = place.at > 0 && at === place.at && !line.startsWith("-");
      const isOld = place.at === 0 && old === place.old && !line.startsWith("+");
      if (isNew || isOld) return found.join("\n");
    }
  }
  return "";
}

export interface ChangedFile {
  readonly path: string;
  readonly status: string;
  readonly additions: number;
  readonly deletions: number;
}

const STATUS_WORDS: Record<string, string> = {
  A: "added",
  M: "changed",
  D: "deleted",
  R: "renamed",
  C: "copied",
};

/** The files a pull request changes, with counts. */
export async function pullFiles(repo: Repository, thread: PullThread): Promise<ChangedFile[]> {
  const { head, mergeBase: base } = await pullCommits(repo, thread);
  if (head === "" || base === "") return [];
  const ask = (what: string) => gitOnce(repo.dir, ["diff", what, "-z", "--no-renames", base, head]);
  const counts = await ask("--numstat");
  const states = (await ask("--name-status")).split("\0");
  return counts
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => {
      const [additions = "0", deletions = "0", ...rest] = line.split("\t");
      const path = rest.join("\t");
      const letter = states[states.indexOf(path) - 1] ?? "M";
      return {
        path,
        status: STATUS_WORDS[letter] ?? "changed",
        additions: Number(additions) || 0,
        deletions: Number(deletions) || 0,
      };
    });
}

async function isMergeable(repo: Repository, commits: PullCommits): Promise<boolean> {
  if (commits.base === "" || commits.head === "") return false;
  const answer = await tryGitOnce(repo.dir, ["merge-tree", "--write-tree", commits.base, commits.head]);
  return answer.code === 0;
}

function sideJson(
  world: World,
  repo: Repository,
  side: { label: string; ref: string; sha: string; rights: Json },
): Json {
  const { label, ref, sha, rights } = side;
  return {
    label,
    ref,
    sha,
    repo_id: repo.id,
    repo: { ...repositoryJson(world, repo, ALL_RIGHTS), permissions: rights },
  };
}

/**
 * Gitea calls everybody so whose last word is a request, an approval or a rejection; whether remarks count
 * depends.
 */
function requestedReviewers(world: World, pull: Pull): number[] {
  const last = new Map<number, number>();
  for (const review of pull.reviews) {
    if (review.state === "PENDING") continue;
    if (review.state === "COMMENT" && !world.ways.remarkingIsRequested) continue;
    last.delete(review.authorId);
    last.set(review.authorId, review.id);
  }
  return [...last.keys()];
}

/** A pull request as the API and the payloads show it. */
export async function pullJson(
  world: World,
  at: { repo: Repository; thread: PullThread },
  viewer: User | null,
): Promise<Json> {
  const { repo, thread } = at;
  const { pull } = thread;
  const commits = await pullCommits(repo, thread);
  const files = await pullFiles(repo, thread);
  const isDraft = isDraftTitle(thread.title);
  const rights: Json = { ...rightsOf(world, repo, viewer) };
  const url = threadUrl(world, repo, thread);
  const asked = requestedReviewers(world, pull).map((id) => world.user(id));
  const given = pull.reviews.filter(
    (one) => one.state !== "REQUEST_REVIEW" && one.state !== "PENDING",
  ).length;
  const headRef = pull.hasHeadBranch ? pull.headBranch : `refs/pull/${thread.number}/head`;
  const head = { label: pull.headBranch, ref: headRef, sha: commits.head, rights };
  return {
    id: pull.id,
    url,
    number: thread.number,
    user: userJson(world, world.user(thread.authorId), viewer),
    title: thread.title,
    body: thread.body,
    labels: labelsJson(world, repo, thread),
    milestone: null,
    ...assigneesJson(world, thread, viewer),
    ...(world.ways.fieldsOf2025 && thread.assignees.length === 0 ? { assignees: [] } : {}),
    requested_reviewers:
      asked.length > 0 ? asked.map((user) => userJson(world, user, null)) : world.ways.nobodyRequested,
    requested_reviewers_teams: world.ways.nobodyRequested,
    state: thread.isOpen ? "open" : "closed",
    draft: isDraft,
    is_locked: thread.isLocked,
    comments: commentCount(world, repo, thread),
    ...(world.ways.fieldsOf2025 && given === 0 ? {} : { review_comments: given }),
    additions: files.reduce((sum, file) => sum + file.additions, 0),
    deletions: files.reduce((sum, file) => sum + file.deletions, 0),
    changed_files: files.length,
    html_url: url,
    diff_url: `${url}.diff`,
    patch_url: `${url}.patch`,
    mergeable: !isDraft && thread.isOpen && (await isMergeable(repo, commits)),
    merged: pull.merged !== null,
    merged_at: pull.merged && stamp(pull.merged.at),
    merge_commit_sha: pull.merged?.commit ?? null,
    merged_by: pull.merged && userJson(world, world.user(pull.merged.byId), null),
    allow_maintainer_edit: false,
    base: sideJson(world, repo, { label: pull.baseBranch, ref: pull.baseBranch, sha: commits.base, rights }),
    head: sideJson(world, world.repository(pull.headRepositoryId), head),
    merge_base: commits.mergeBase,
    due_date: null,
    created_at: stamp(thread.createdAt),
    updated_at: stamp(thread.updatedAt),
    closed_at: thread.closedAt === null ? null : stamp(thread.closedAt),
    pin_order: 0,
  };
}

/** A review, also the mark that one was asked for (`REQUEST_REVIEW`). */
export function reviewJson(
  world: World,
  at: { repo: Repository; thread: PullThread; review: Review },
  viewer: User | null,
): Json {
  const { review } = at;
  const url = threadUrl(world, at.repo, at.thread);
  return {
    id: review.id,
    user: userJson(world, world.user(review.authorId), viewer),
    team: null,
    state: review.state,
    body: review.body,
    commit_id: review.commit,
    stale: review.isStale,
    official: review.isOfficial,
    dismissed: review.isDismissed,
    comments_count: world.linesOf(review.id).length,
    submitted_at: stamp(review.createdAt),
    updated_at: stamp(review.createdAt),
    html_url: review.commentId === null ? "" : `${url}#issuecomment-${review.commentId}`,
    pull_request_url: url,
  };
}

/** A commit as pushes and branches show it. */
export async function commitJson(world: World, repo: Repository, commit: string): Promise<Json> {
  const format = "%an%x00%ae%x00%cn%x00%ce%x00%aI%x00%B";
  const text = await gitOnce(repo.dir, ["log", "-1", `--format=${format}`, commit]);
  const [an = "", ae = "", cn = "", ce = "", at = "", message = ""] = text.split("\0");
  const changed = await gitOnce(repo.dir, [
    "show",
    "--format=",
    "--name-status",
    "--no-renames",
    "-z",
    commit,
  ]);
  const parts = changed.split("\0");
  const named = (letter: string) =>
    parts.filter((_, index) => index % 2 === 1 && parts[index - 1] === letter);
  const username = (email: string) => world.users.find((user) => user.email === email)?.login ?? "";
  return {
    id: commit,
    message: `${message.trimEnd()}\n`,
    url: `${world.url}/${world.fullName(repo)}/commit/${commit}`,
    author: { name: an, email: ae, username: username(ae) },
    committer: { name: cn, email: ce, username: username(ce) },
    verification: null,
    timestamp: stamp(Date.parse(at)),
    added: named("A"),
    removed: named("D"),
    modified: named("M"),
  };
}

/** A branch, with what the viewer may do to it. */
export async function branchJson(
  world: World,
  at: { repo: Repository; name: string; commit: string },
  canPush: boolean,
): Promise<Json> {
  const isProtected = at.repo.protectedBranches.includes(at.name);
  return {
    name: at.name,
    commit: await commitJson(world, at.repo, at.commit),
    protected: isProtected,
    required_approvals: 0,
    enable_status_check: false,
    status_check_contexts: [],
    user_can_push: canPush && !isProtected,
    user_can_merge: canPush,
    effective_branch_protection_name: isProtected ? at.name : "",
  };
}
