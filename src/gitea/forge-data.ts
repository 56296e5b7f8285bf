import type { Markdown } from "./markdown.ts";

/** Where to ask what moved: one repository, all that the bot sees of one owner, or all it sees. */
export type Scope =
  | { readonly kind: "repository"; readonly name: RepositoryName }
  | { readonly kind: "owner"; readonly owner: string }
  | { readonly kind: "everything" };

/**
 * What moved. `at` is the forge's clock when it was first asked: whatever was stored long before that is in
 * it.
 */
export interface Moved {
  readonly at: number;
  readonly threads: readonly MovedThread[];
}

export interface MovedThread {
  readonly repository: { readonly id: number; readonly fullName: string };
  readonly number: number;
  readonly updatedAt: number;
}

/** An act on a thread. Ids grow, and count in one sequence with those of comments. */
export interface Doing {
  readonly id: number;
  readonly kind: "closed" | "reopened" | "merged";
  readonly by: Person;
  readonly at: number;
}

/** `owner` and `name` as people write them; compared without case. */
export interface RepositoryName {
  readonly owner: string;
  readonly name: string;
}

export interface Person {
  readonly id: number;
  readonly login: string;
}

export interface Repository {
  readonly id: number;
  readonly fullName: string;
  readonly isPrivate: boolean;
  readonly isEmpty: boolean;
  readonly isArchived: boolean;
  readonly isMirror: boolean;
  readonly defaultBranch: string;
  /** How it prefers to merge; empty where the forge does not say. */
  readonly mergeStyle: string;
  /** Whether a branch is removed once it is merged. */
  readonly removesMerged: boolean;
  readonly htmlUrl: string;
  /** The bot's own rights here. */
  readonly mine: { readonly admin: boolean; readonly push: boolean; readonly pull: boolean };
}

export interface Issue {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly author: Person;
  readonly isPullRequest: boolean;
  readonly isOpen: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Null while it is open. */
  readonly closedAt: number | null;
  readonly labels: readonly string[];
}

export interface Comments {
  readonly entries: readonly Comment[];
  readonly skipped: readonly number[];
}

export interface Comment {
  readonly id: number;
  readonly body: string;
  /** There was more of it: it is far too long to be read. */
  readonly isCut?: boolean;
  readonly author: Person;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A comment at a line of a pull request's diff. Nobody checks what path and line say. */
export interface LineComment extends Comment {
  readonly path: string;
  /** In the new file; 0 where it stands at a line of the old one, or at none. */
  readonly line: number;
  /** In the old file; 0 where it stands at a line of the new one, or at none. */
  readonly oldLine: number;
  /** The piece of the diff that ends at that line; empty where the forge has none. */
  readonly hunk: string;
  /** Somebody marked the conversation that it began as resolved. */
  readonly isResolved: boolean;
}

export interface Place {
  readonly path: string;
  readonly line: number;
  readonly oldLine: number;
}

/** How something stands with a commit; the newest of each context counts. */
export interface CommitStatus {
  readonly context: string;
  readonly state: "pending" | "success" | "failure" | "error";
  /** Plain text. */
  readonly description: string;
  readonly targetUrl: string;
}

export interface NewReview {
  readonly body: Markdown;
  readonly comments: readonly (Place & { readonly body: Markdown })[];
}

export interface NewReply extends Place {
  readonly reviewId: number;
  readonly body: Markdown;
}

export interface Review {
  readonly id: number;
  /**
   * Of the comment that it is in the conversation, which bears reactions; what was said at its lines has
   * lower ids, replies have higher ones. Null once that comment was deleted: the review stays.
   */
  readonly commentId: number | null;
  /** How many comments at lines it has, with the replies to them. */
  readonly lineComments: number;
  readonly body: string;
  readonly author: Person;
  readonly state: "approved" | "changes-requested" | "comment" | "other";
  /** It counts for the forge's own rules: asking its author again ends that, without any word of theirs. */
  readonly isOfficial: boolean;
  /** It was taken back, by its author with a later one or by somebody who may. */
  readonly isDismissed: boolean;
  /** What it is about has changed since. */
  readonly isStale: boolean;
  readonly submittedAt: number;
  /** What was looked at; empty where the forge does not say. */
  readonly commit: string;
}

export interface PullRequest {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly author: Person;
  readonly isOpen: boolean;
  readonly isMerged: boolean;
  readonly isDraft: boolean;
  /** `repositoryId` is null when the head's repository is gone. `fullName` likewise. */
  readonly head: {
    readonly ref: string;
    readonly commit: string;
    readonly repositoryId: number | null;
    readonly fullName: string | null;
  };
  readonly base: { readonly ref: string; readonly commit: string };
  readonly htmlUrl: string;
}

export interface MergeOrder {
  /** Nothing else is merged. */
  readonly commit: string;
  /** As the repository prefers it; empty: a merge commit. */
  readonly style: string;
  readonly removesBranch: boolean;
}

/** `why`: the forge's own words; `isLater`: it asks for another try. */
export type MergeAnswer =
  | { readonly kind: "merged" }
  | { readonly kind: "refused"; readonly why: string; readonly isLater: boolean };

export interface Hook {
  readonly id: number;
  readonly url: string;
  readonly isActive: boolean;
}

export interface Branch {
  readonly name: string;
  readonly commit: string;
  /** A rule of the repository says who may push to it. */
  readonly isProtected: boolean;
}

export interface NewPullRequest {
  /** Branch name, or `owner:branch` when the head lies in another repository. */
  readonly head: string;
  readonly base: string;
  readonly title: string;
  readonly body: Markdown;
}
