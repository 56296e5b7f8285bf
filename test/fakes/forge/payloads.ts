import { createHash } from "node:crypto";
import { permissionOf } from "./rights.ts";
import {
  type Comment,
  type Label,
  type Repository,
  stamp,
  type Thread,
  type User,
  type World,
} from "./state.ts";

export type Json = Record<string, unknown>;

/** The marks that make a pull request a draft; any case. */
const DRAFT_PREFIXES = ["wip:", "[wip]"];

/** A pull request is a draft exactly when its title says so. */
export function isDraftTitle(title: string): boolean {
  return DRAFT_PREFIXES.some((prefix) => title.toLowerCase().startsWith(prefix));
}

const NEVER = "0001-01-01T00:00:00Z";
const EPOCH = "1970-01-01T00:00:00Z";

/** A user as `viewer` sees it: nobody sees no real address, oneself and site admins see everything. */
export function userJson(world: World, user: User, viewer: User | null): Json {
  const isFull = viewer !== null && (viewer.id === user.id || viewer.isAdmin);
  const hash = createHash("md5").update(user.email.toLowerCase()).digest("hex");
  const isSeen = isFull || (viewer !== null && user.hidesEmail !== true);
  const email = user.isOrganization ? "" : isSeen ? user.email : `${user.login}@noreply.localhost`;
  return {
    id: user.id,
    login: user.login,
    login_name: "",
    source_id: 0,
    full_name: "",
    email,
    avatar_url: `${world.url}/avatars/${hash}`,
    html_url: `${world.url}/${user.login}`,
    language: "",
    is_admin: isFull && user.isAdmin,
    last_login: isFull ? EPOCH : NEVER,
    created: stamp(user.createdAt),
    restricted: false,
    active: isFull && user.isActive,
    prohibit_login: false,
    location: "",
    website: "",
    description: "",
    visibility: "public",
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
    username: user.login,
  };
}

/** Rights as they stand in a repository's JSON. */
export interface Rights {
  readonly admin: boolean;
  readonly push: boolean;
  readonly pull: boolean;
}

/** The rights of one person, for a repository's JSON. */
export function rightsOf(world: World, repo: Repository, user: User | null): Rights {
  const permission = permissionOf(world, repo, user);
  const admin = permission === "admin" || permission === "owner";
  return { admin, push: admin || permission === "write", pull: permission !== "none" };
}

export const ALL_RIGHTS: Rights = { admin: true, push: true, pull: true };

/** A repository; whose rights stand in it depends on the event (gitea.md, 3.6). */
export function repositoryJson(world: World, repo: Repository, rights: Rights): Json {
  const fullName = world.fullName(repo);
  const threads = [...repo.threads.values()].filter((thread) => thread.isOpen);
  return {
    id: repo.id,
    owner: userJson(world, world.user(repo.ownerId), null),
    name: repo.name,
    full_name: fullName,
    description: repo.description,
    empty: repo.isEmpty,
    private: repo.isPrivate,
    fork: false,
    template: false,
    ...(world.ways.fieldsOf2025 ? {} : { parent: null }),
    mirror: repo.isMirror,
    size: 27,
    language: "",
    languages_url: `${world.url}/api/v1/repos/${fullName}/languages`,
    html_url: `${world.url}/${fullName}`,
    url: `${world.url}/api/v1/repos/${fullName}`,
    link: "",
    ssh_url: `git@localhost:${fullName}.git`,
    clone_url: `${world.url}/${fullName}.git`,
    original_url: "",
    website: "",
    stars_count: 0,
    forks_count: 0,
    watchers_count: 1,
    open_issues_count: threads.filter((thread) => !thread.pull).length,
    open_pr_counter: threads.filter((thread) => thread.pull).length,
    release_counter: 0,
    default_branch: repo.defaultBranch,
    archived: repo.isArchived,
    created_at: stamp(repo.createdAt),
    updated_at: stamp(repo.updatedAt),
    archived_at: repo.isArchived ? stamp(repo.updatedAt) : EPOCH,
    permissions: rights,
    ...unitsJson(world.ways.fieldsOf2025),
  };
}

function unitsJson(isNewer: boolean): Json {
  return {
    ...(isNewer ? { has_code: true } : {}),
    ...UNITS,
    ...(isNewer ? { allow_manual_merge: false, autodetect_manual_merge: false } : {}),
    ...MORE_UNITS,
    ...(isNewer ? { topics: [], licenses: [] } : { repo_transfer: null, topics: null, licenses: null }),
  };
}

const UNITS: Json = {
  has_issues: true,
  internal_tracker: {
    enable_time_tracker: true,
    allow_only_contributors_to_track_time: true,
    enable_issue_dependencies: true,
  },
  has_wiki: true,
  has_pull_requests: true,
  has_projects: true,
  projects_mode: "all",
  has_releases: true,
  has_packages: true,
  has_actions: true,
  ignore_whitespace_conflicts: false,
  allow_merge_commits: true,
  allow_rebase: true,
  allow_rebase_explicit: true,
  allow_squash_merge: true,
  allow_fast_forward_only_merge: true,
  allow_rebase_update: true,
};

const MORE_UNITS: Json = {
  default_delete_branch_after_merge: false,
  default_merge_style: "merge",
  default_allow_maintainer_edit: false,
  avatar_url: "",
  internal: false,
  mirror_interval: "",
  object_format_name: "sha1",
  mirror_updated: NEVER,
};

/** The page of an issue or a pull request. */
export function threadUrl(world: World, repo: Repository, thread: Thread): string {
  return `${world.url}/${world.fullName(repo)}/${thread.pull ? "pulls" : "issues"}/${thread.number}`;
}

export function labelJson(world: World, repo: Repository, label: Label): Json {
  return {
    id: label.id,
    name: label.name,
    exclusive: false,
    is_archived: false,
    color: label.color,
    description: label.description,
    url: `${world.url}/api/v1/repos/${world.fullName(repo)}/labels/${label.id}`,
  };
}

/** The labels of a thread; never null. */
export function labelsJson(world: World, repo: Repository, thread: Thread): Json[] {
  return repo.labels
    .filter((one) => thread.labels.includes(one.id))
    .map((one) => labelJson(world, repo, one));
}

/** `assignee` and `assignees`; the list is null, not empty. */
export function assigneesJson(world: World, thread: Thread, viewer: User | null): Json {
  const people = thread.assignees.map((id) => userJson(world, world.user(id), viewer));
  return { assignee: people[0] ?? null, assignees: people.length > 0 ? people : null };
}

/** How many comments people see below a thread. */
export function commentCount(world: World, repo: Repository, thread: Thread): number {
  return world.commentsOf(repo, thread.number).length;
}

/** An issue, or the issue side of a pull request. `comments` may be told, since Gitea counts late. */
export function issueJson(world: World, at: { repo: Repository; thread: Thread }, viewer: User | null): Json {
  const { repo, thread } = at;
  const fullName = world.fullName(repo);
  return {
    id: thread.id,
    url: `${world.url}/api/v1/repos/${fullName}/issues/${thread.number}`,
    html_url: threadUrl(world, repo, thread),
    number: thread.number,
    user: userJson(world, world.user(thread.authorId), viewer),
    original_author: "",
    original_author_id: 0,
    title: thread.title,
    body: thread.body,
    ref: "",
    assets: [],
    labels: labelsJson(world, repo, thread),
    milestone: null,
    ...assigneesJson(world, thread, viewer),
    state: thread.isOpen ? "open" : "closed",
    is_locked: thread.isLocked,
    comments: commentCount(world, repo, thread),
    created_at: stamp(thread.createdAt),
    updated_at: stamp(thread.updatedAt),
    closed_at: thread.closedAt === null ? null : stamp(thread.closedAt),
    due_date: null,
    ...(world.ways.fieldsOf2025 ? { time_estimate: 0 } : {}),
    pull_request: thread.pull && {
      merged: thread.pull.merged !== null,
      merged_at: thread.pull.merged && stamp(thread.pull.merged.at),
      draft: isDraftTitle(thread.title),
      html_url: threadUrl(world, repo, thread),
    },
    repository: { id: repo.id, name: repo.name, owner: world.user(repo.ownerId).login, full_name: fullName },
    pin_order: 0,
  };
}

/** A plain comment; its author is always shown as strangers see them. */
/** A comment at a line, as the list of its review shows it. */
export function lineJson(world: World, comment: Comment): Json {
  const {
    issue_url: _issue,
    original_author: _author,
    original_author_id: _id,
    assets: _assets,
    ...shared
  } = commentJson(world, comment);
  return {
    ...shared,
    resolver: comment.resolverId === undefined ? null : userJson(world, world.user(comment.resolverId), null),
    pull_request_review_id: comment.line?.reviewId ?? 0,
    path: comment.line?.path ?? "",
    ...{ commit_id: "", original_commit_id: "", diff_hunk: comment.line?.hunk ?? "" },
    ...{ position: comment.line?.at ?? 0, original_position: comment.line?.old ?? 0 },
  };
}

export function commentJson(world: World, comment: Comment): Json {
  const repo = world.repository(comment.repositoryId);
  const thread = world.mustThread(repo, comment.number);
  const url = threadUrl(world, repo, thread);
  return {
    id: comment.id,
    html_url: `${url}#issuecomment-${comment.id}`,
    pull_request_url: thread.pull ? url : "",
    issue_url: thread.pull ? "" : url,
    user: userJson(world, world.user(comment.authorId), null),
    original_author: "",
    original_author_id: 0,
    body: comment.body,
    assets: [],
    created_at: stamp(comment.createdAt),
    updated_at: stamp(comment.updatedAt),
  };
}
