import { z } from "zod";
import type {
  Branch,
  Comment,
  Doing,
  Hook,
  Issue,
  MovedThread,
  Person,
  PullRequest,
  Repository,
} from "./port.ts";
import { PERMISSIONS } from "./port.ts";

/**
 * What of a Gitea or Forgejo answer is believed, turned into our own words. Only the fields we use are looked
 * at, and what real servers leave out or send as null is tolerated (Gitea 1.23, Forgejo 10).
 */

const GHOST: Person = { id: -1, login: "Ghost" };

export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");

export const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

export const time = z.string().transform((value, ctx) => {
  const at = Date.parse(value);
  if (!Number.isNaN(at)) return at;
  ctx.addIssue({ code: "custom", message: "is no time" });
  return z.NEVER;
});

export const person = z.object({ id: z.number().int(), login: z.string() });
export const organization = z.object({ id: z.number().int() });

/** Whoever was deleted since is Gitea's `Ghost`, id -1. */
export const author = person.nullish().transform((value): Person => value ?? GHOST);

export const people = z
  .array(person)
  .nullable()
  .transform((list) => list ?? []);

export const hooks = z.array(
  z
    .object({ id: z.number().int(), active: flag, config: z.object({ url: text }).nullish() })
    .transform((seen): Hook => ({ id: seen.id, url: seen.config?.url ?? "", isActive: seen.active })),
);

export const version = z.object({ version: z.string() });

export const repository = z
  .object({
    id: z.number().int(),
    full_name: z.string(),
    private: flag,
    internal: flag,
    empty: flag,
    archived: flag,
    mirror: flag,
    default_branch: text,
    default_merge_style: text,
    default_delete_branch_after_merge: flag,
    html_url: text,
    permissions: z.object({ admin: flag, push: flag, pull: flag }).nullish(),
  })
  .transform(
    (seen): Repository => ({
      id: seen.id,
      fullName: seen.full_name,
      // `internal`: the owner is visible to signed-in people only, so the repository is not for everybody
      // either.
      isPrivate: seen.private || seen.internal,
      isEmpty: seen.empty,
      isArchived: seen.archived,
      isMirror: seen.mirror,
      defaultBranch: seen.default_branch,
      mergeStyle: seen.default_merge_style,
      removesMerged: seen.default_delete_branch_after_merge,
      htmlUrl: seen.html_url,
      mine: seen.permissions ?? { admin: false, push: false, pull: false },
    }),
  );

export const issue = z
  .object({
    number: z.number().int(),
    title: text,
    body: text,
    user: author,
    state: z.string(),
    created_at: time,
    updated_at: time,
    closed_at: time.nullish(),
    pull_request: z.unknown(),
    labels: z.array(z.object({ name: z.string() })).nullish(),
  })
  .transform(
    (seen): Issue => ({
      number: seen.number,
      title: seen.title,
      body: seen.body,
      author: seen.user,
      isPullRequest: seen.pull_request !== null && seen.pull_request !== undefined,
      isOpen: seen.state === "open",
      createdAt: seen.created_at,
      updatedAt: seen.updated_at,
      closedAt: seen.closed_at ?? null,
      labels: (seen.labels ?? []).map((label) => label.name),
    }),
  );

export const issues = z
  .array(issue)
  .nullable()
  .transform((list) => list ?? []);

const movedThread = z
  .object({
    number: z.number().int().positive(),
    updated_at: time,
    repository: z.object({ id: z.number().int(), full_name: z.string().max(300) }),
  })
  .transform(
    (seen): MovedThread => ({
      repository: { id: seen.repository.id, fullName: seen.repository.full_name },
      number: seen.number,
      updatedAt: seen.updated_at,
    }),
  );

export const movedThreads = z
  .array(movedThread)
  .nullable()
  .transform((list) => list ?? []);

const DOINGS: Readonly<Record<string, Doing["kind"]>> = {
  close: "closed",
  reopen: "reopened",
  merge_pull: "merged",
};

/**
 * What of a timeline is a doing; null for all else. Entries that could not be shown are null on the forge's
 * side too.
 */
export const timeline = z
  .array(
    z
      .object({ id: z.number().int(), type: text, user: author, created_at: time })
      .nullable()
      .transform((seen): Doing | null => {
        const kind = seen === null ? undefined : DOINGS[seen.type];
        if (seen === null || kind === undefined) return null;
        return { id: seen.id, kind, by: seen.user, at: seen.created_at };
      }),
  )
  .nullable()
  .transform((list) => list ?? []);

export const comment = z
  .object({ id: z.number().int(), body: text, user: author, created_at: time, updated_at: time })
  .transform(
    (seen): Comment => ({
      id: seen.id,
      body: seen.body,
      author: seen.user,
      createdAt: seen.created_at,
      updatedAt: seen.updated_at,
    }),
  );

export const comments = z
  .array(comment)
  .nullable()
  .transform((list) => list ?? []);

/** Comments of a whole repository, each with the number of its thread. */
export const placedComments = z
  .array(
    z
      .object({ issue_url: text, pull_request_url: text })
      .loose()
      .transform((seen, context) => {
        const number = /\/(\d+)$/.exec(seen.issue_url || seen.pull_request_url)?.[1];
        const parsed = comment.safeParse(seen);
        if (parsed.success) return { number: Number(number ?? 0), comment: parsed.data };
        context.addIssue({ code: "custom", message: parsed.error.message });
        return z.NEVER;
      }),
  )
  .nullable()
  .transform((list) => list ?? []);

/** Null where nobody reacted. */
export const reactors = z
  .array(z.object({ user: author }))
  .nullable()
  .transform((list) => (list ?? []).map((one) => one.user));

const side = z.object({
  ref: z.string(),
  sha: text,
  repo_id: z.number().int().nullish(),
  repo: z.object({ full_name: z.string() }).nullish(),
});

export const pullRequest = z
  .object({
    number: z.number().int(),
    title: text,
    body: text,
    user: author,
    state: z.string(),
    merged: flag,
    draft: flag,
    html_url: text,
    head: side,
    base: side,
  })
  .transform((seen): PullRequest & { readonly baseRepositoryId: number | null } => ({
    number: seen.number,
    title: seen.title,
    body: seen.body,
    author: seen.user,
    isOpen: seen.state === "open",
    isMerged: seen.merged,
    isDraft: seen.draft,
    head: {
      ref: seen.head.ref,
      commit: seen.head.sha,
      repositoryId: knownId(seen.head.repo_id),
      fullName: seen.head.repo?.full_name ?? null,
    },
    base: { ref: seen.base.ref, commit: seen.base.sha },
    htmlUrl: seen.html_url,
    baseRepositoryId: knownId(seen.base.repo_id),
  }));

export const pullRequests = z
  .array(pullRequest)
  .nullable()
  .transform((list) => list ?? []);

export const branch = z
  .object({ name: z.string(), commit: z.object({ id: z.string() }), protected: z.boolean() })
  .transform((seen): Branch => ({ name: seen.name, commit: seen.commit.id, isProtected: seen.protected }));

export const permission = z.object({ permission: z.enum(PERMISSIONS), user: person });

/** What a search of accounts finds. */
export const foundPeople = z.object({ data: z.array(person).nullish() }).transform((seen) => seen.data ?? []);

export const teams = z
  .object({ data: z.array(z.object({ id: z.number().int(), name: z.string() })).nullish() })
  .transform((seen) => seen.data ?? []);

/** Gitea writes a repository that is gone as -1. */
function knownId(id: number | null | undefined): number | null {
  return id === null || id === undefined || id <= 0 ? null : id;
}
