/** A person, or an organization (`isOrganization`), as the stand-in keeps it. */
export interface User {
  readonly id: number;
  login: string;
  password: string;
  email: string;
  isAdmin: boolean;
  isOrganization: boolean;
  /** Restricted people see public repositories only where they were let in. */
  isRestricted: boolean;
  isActive: boolean;
  /** Until it has, its tokens are refused. */
  mustChangePassword?: boolean;
  /** Nobody but itself and site admins sees its e-mail. */
  hidesEmail?: boolean;
  readonly createdAt: number;
}

export interface Token {
  readonly id: number;
  readonly userId: number;
  readonly name: string;
  readonly secret: string;
  readonly scopes: readonly string[];
}

export type Access = "read" | "write" | "admin" | "owner";

export interface Team {
  readonly id: number;
  readonly organizationId: number;
  name: string;
  permission: Access;
  readonly members: Set<number>;
  readonly repositories: Set<number>;
  includesAll: boolean;
}

export interface Reaction {
  readonly userId: number;
  readonly content: string;
  readonly createdAt: number;
}

export interface Comment {
  readonly id: number;
  readonly repositoryId: number;
  readonly number: number;
  readonly authorId: number;
  body: string;
  readonly createdAt: number;
  updatedAt: number;
  readonly reactions: Reaction[];
  /**
   * It stands at a line of a diff, in a conversation that this review began: of the new file (`at`), or of the
   * old one.
   */
  readonly line?: {
    readonly reviewId: number;
    readonly path: string;
    readonly at: number;
    readonly old: number;
    readonly hunk: string;
  };
  /** The conversation that it began was marked as resolved. */
  resolverId?: number;
  /** It is what a review is in the conversation: nothing but reactions is told of it. */
  readonly reviewId?: number;
}

/**
 * What a thread's timeline shows besides comments; its id is of the comments' sequence, as on real servers.
 */
export interface TimelineAct {
  readonly id: number;
  readonly repositoryId: number;
  readonly number: number;
  readonly authorId: number;
  readonly type: "close" | "reopen" | "merge_pull";
  readonly createdAt: number;
}

/** How somebody says that a commit stands. */
export interface CommitStatus {
  readonly id: number;
  readonly repositoryId: number;
  readonly commit: string;
  readonly creatorId: number;
  readonly context: string;
  readonly state: string;
  readonly description: string;
  readonly targetUrl: string;
  readonly createdAt: number;
}

export interface Review {
  readonly id: number;
  readonly authorId: number;
  state: "APPROVED" | "REQUEST_CHANGES" | "COMMENT" | "REQUEST_REVIEW" | "PENDING";
  body: string;
  /** What it is in the conversation; null: not yet submitted, or deleted. */
  commentId: number | null;
  readonly commit: string;
  isOfficial: boolean;
  isDismissed: boolean;
  /** The head moved since. */
  isStale: boolean;
  readonly createdAt: number;
}

/** What a thread has more when it is a pull request. */
export interface Pull {
  readonly id: number;
  readonly headRepositoryId: number;
  readonly headBranch: string;
  baseBranch: string;
  /** False once the branch was deleted: `head.ref` is then `refs/pull/N/head`. */
  hasHeadBranch: boolean;
  merged: { at: number; byId: number; commit: string } | null;
  readonly reviews: Review[];
}

/** An issue or a pull request: both count in one sequence of numbers. */
export interface Thread {
  readonly id: number;
  readonly number: number;
  readonly authorId: number;
  title: string;
  body: string;
  isOpen: boolean;
  isLocked: boolean;
  labels: number[];
  assignees: number[];
  readonly createdAt: number;
  updatedAt: number;
  closedAt: number | null;
  readonly reactions: Reaction[];
  readonly pull: Pull | null;
}

export interface Label {
  readonly id: number;
  name: string;
  color: string;
  description: string;
}

export interface Hook {
  readonly id: number;
  url: string;
  secret: string;
  active: boolean;
  contentType: "json" | "form";
  authorization: string;
  /** Names of section 2.1's "subscribe" column, umbrella names already spread. */
  flags: Set<string>;
  readonly createdAt: number;
}

export interface Repository {
  readonly id: number;
  ownerId: number;
  name: string;
  description: string;
  isPrivate: boolean;
  isArchived: boolean;
  isMirror: boolean;
  isEmpty: boolean;
  defaultBranch: string;
  /** The bare git repository on disk. */
  readonly dir: string;
  readonly collaborators: Map<number, "read" | "write" | "admin">;
  readonly threads: Map<number, Thread>;
  readonly labels: Label[];
  readonly hooks: Hook[];
  /** Branch names or globs nobody may push to. */
  readonly protectedBranches: string[];
  /** `owner/name` each. */
  readonly formerNames: string[];
  readonly createdAt: number;
  updatedAt: number;
}
