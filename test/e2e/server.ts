/** Somebody with an account on the server under test. */
export interface E2eUser {
  readonly id: number;
  readonly login: string;
  readonly password: string;
  readonly token: string;
}

export type E2ePermission = "read" | "write" | "admin";

export interface NewE2eRepository {
  /** An organization or a person; an organization that is missing is made. */
  readonly owner: string;
  readonly name: string;
  readonly private?: boolean;
  /** True where untold: a README as first commit on `main`. False leaves it empty. */
  readonly autoInit?: boolean;
  /** Path -> text, committed one by one after the first commit. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface E2eComment {
  readonly id: number;
  readonly author: string;
  readonly body: string;
  /** The forge says that it was changed after it was made. */
  readonly isTouched: boolean;
}

export interface E2eReaction {
  readonly content: string;
  readonly user: string;
}

export interface E2ePullRequest {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly author: string;
  readonly isOpen: boolean;
  readonly isMerged: boolean;
  readonly isDraft: boolean;
  readonly head: { readonly ref: string; readonly sha: string };
  readonly base: { readonly ref: string; readonly sha: string };
  readonly requestedReviewers: readonly string[];
}

export type ReviewEvent = "APPROVED" | "REQUEST_CHANGES" | "COMMENT";

/** A status, its headers and its body: as text, and parsed where it is JSON (else undefined). */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

/**
 * One interface over the stand-in and a real Gitea or Forgejo, so that the same scenarios run on both.
 * Repositories are named `owner/name`; `as` is who acts. Unexpected statuses throw, except in `api`, which
 * answers them.
 */
export interface E2eServer {
  readonly name: "stand-in" | "gitea" | "forgejo";
  /** Without a slash at the end. */
  readonly url: string;
  readonly version: string;
  readonly admin: E2eUser;

  createUser(login: string): Promise<E2eUser>;
  /** Answers the full name. */
  createRepository(wanted: NewE2eRepository): Promise<string>;
  addCollaborator(repo: string, login: string, permission: E2ePermission): Promise<void>;
  createHook(repo: string, url: string, secret: string): Promise<void>;
  archiveRepository(repo: string): Promise<void>;
  protectBranch(repo: string, pattern: string): Promise<void>;

  openIssue(as: E2eUser, repo: string, issue: { title: string; body: string }): Promise<number>;
  /** Fills the form at a path of the repository in a browser; `fields` by their ids. */
  openIssueByForm(
    as: E2eUser,
    repo: string,
    form: { path: string; title: string; fields: Readonly<Record<string, string>> },
  ): Promise<number>;
  deleteIssue(repo: string, number: number): Promise<void>;
  closeIssue(as: E2eUser, repo: string, number: number): Promise<void>;
  /** By API; on a pull request as a browser does it, since servers of late 2024 break there (recorded.md). */
  comment(as: E2eUser, repo: string, comment: { number: number; body: string }): Promise<{ id: number }>;
  /** Login, page, form: what a browser sends, CRLF too. */
  commentInBrowser(
    as: E2eUser,
    repo: string,
    comment: { number: number; body: string },
  ): Promise<{ id: number }>;
  editComment(as: E2eUser, repo: string, comment: { id: number; body: string }): Promise<void>;
  deleteComment(as: E2eUser, repo: string, id: number): Promise<void>;
  /** Oldest first. */
  comments(repo: string, number: number): Promise<E2eComment[]>;
  reactions(repo: string, commentId: number): Promise<E2eReaction[]>;

  openPullRequest(
    as: E2eUser,
    repo: string,
    wanted: { head: string; base: string; title: string; body: string },
  ): Promise<number>;
  /** Open and closed, newest first. */
  pullRequests(repo: string): Promise<E2ePullRequest[]>;
  pullRequest(repo: string, number: number): Promise<E2ePullRequest>;
  diff(repo: string, number: number): Promise<string>;
  review(
    as: E2eUser,
    repo: string,
    review: { number: number; event: ReviewEvent; body: string },
  ): Promise<void>;
  mergePullRequest(as: E2eUser, repo: string, number: number): Promise<void>;

  /** The commit at a branch's tip; null where there is no such branch. */
  branch(repo: string, name: string): Promise<string | null>;
  /** One commit by the contents API; the branch is made from the default branch where it is missing. */
  commitFile(as: E2eUser, repo: string, file: { branch: string; path: string; text: string }): Promise<void>;

  /**
   * Any API call, for facts that have no method of their own; `path` follows `/api/v1`. Redirects are not
   * followed.
   */
  api(as: E2eUser | null, method: string, path: string, body?: unknown): Promise<RawAnswer>;

  /** Stops the server and removes its files, whatever state it is in. */
  stop(): Promise<void>;
}
