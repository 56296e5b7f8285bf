import type {
  Branch,
  Comment,
  Comments,
  CommitStatus,
  Doing,
  Hook,
  Issue,
  LineComment,
  MergeAnswer,
  MergeOrder,
  Moved,
  NewPullRequest,
  NewReply,
  NewReview,
  Person,
  PullRequest,
  Repository,
  RepositoryName,
  Review,
  Scope,
} from "./forge-data.ts";
import type { Markdown } from "./markdown.ts";

export type * from "./forge-data.ts";

/**
 * What Lazarus needs of a forge, in its own words. The only implementation that talks to a server is
 * `client.ts`; tests and the demo talk to an honest stand-in over HTTP through that same client.
 *
 * Common to all methods: a thing that is missing, or hidden from the bot, is `null`. Everything else that
 * goes wrong is a `LazarusError`: `forge-unreachable` (no answer, 5xx, 429, HTML, a cut answer: retryable),
 * `forge-refused` (403, 409, 422, 423 …: not retryable; 401, a token that is to be mended: retryable) or
 * `forge-answer` (an answer that does not have the expected shape). Reads are retried inside the client a few
 * times; **writes are never repeated by the client**, since a server may have stored what it answered 500 to:
 * whoever writes looks first (`findComment`).
 */
export interface Forge {
  /** The bot's own account, asked once. */
  me(): Promise<Person>;
  /** Whose login it is now: a person's, or an organization's, which servers tell apart only elsewhere. */
  person(login: string): Promise<Person | null>;
  /** The account of that id, with the login it has now; null where it is gone, or hidden from the bot. */
  personById(id: number): Promise<Person | null>;
  /** Whether it is the name of an organization that the bot can see. */
  isOrganization(name: string): Promise<boolean>;
  /** The forge's wall clock, epoch ms, from the `Date` header of a cheap call. */
  clock(): Promise<number>;
  /** One call without retries: whether the forge answers at all, with whatever status. */
  probe(): Promise<void>;
  /** Version text, such as `1.23.0` or `10.0.0+gitea-1.22.0`. */
  version(): Promise<string>;

  /** Follows no rename: a repository that answers under another name comes back with that other name. */
  repository(name: RepositoryName): Promise<Repository | null>;
  /** The same, as it was found at most 30 s ago where nothing has told otherwise since. */
  recentRepository(name: RepositoryName): Promise<Repository | null>;
  /** A name is known to lead to this id: what is remembered otherwise is not believed any more. */
  tellRepository(id: number, fullName: string): void;
  /** No repository is believed to be called what it was called. */
  forgetRepositories(): void;
  /** The same by its id, which it keeps whatever it is called and whoever owns it. */
  repositoryById(id: number): Promise<Repository | null>;
  /**
   * Issues and pull requests, open and closed, that moved since (epoch ms by the forge's clock, its second
   * included): opened, commented, a comment removed, reviewed, closed, merged, retitled, its own text edited;
   * neither an edit of a comment nor a reaction moves a thread. One request where little moved. A repository
   * that is hidden from the bot is an error where it is asked for by name, and missing from the answer
   * elsewhere.
   */
  moved(scope: Scope, since: number): Promise<Moved>;
  /** Who closed, reopened or merged a thread since (epoch ms by the forge's clock), oldest first. */
  doings(name: RepositoryName, number: number, since: number): Promise<Doing[]>;
  issue(name: RepositoryName, number: number): Promise<Issue | null>;
  /**
   * Plain comments of an issue or pull request, oldest first; `since` (epoch ms) compares with `updatedAt`.
   * In `skipped` stand the seconds (epoch ms) that hold one that is too large to be read.
   */
  comments(name: RepositoryName, number: number, since?: number): Promise<Comments>;
  comment(name: RepositoryName, id: number): Promise<Comment | null>;
  /**
   * Whose reactions a comment bears; null where it is gone. It knows every kind of comment: plain ones, those
   * at lines, and what a review is in the conversation.
   */
  reactors(name: RepositoryName, commentId: number): Promise<Person[] | null>;
  /** Submitted reviews, oldest first. */
  reviews(name: RepositoryName, number: number): Promise<Review[]>;
  /**
   * Comments at lines of a review, and replies to them by anybody, oldest first; `null` where
   * they are larger than one answer may be. `comment` does not know them.
   */
  lineComments(name: RepositoryName, number: number, reviewId: number): Promise<LineComment[] | null>;
  /**
   * Submits a review that asks for nothing. **No server does that in one step**: what an attempt left that
   * was cut off would be part of the next review, so `dropPending` comes before each attempt.
   */
  postReview(name: RepositoryName, number: number, review: NewReview): Promise<void>;
  /** Removes the bot's own reviews that were begun and never submitted. */
  dropPending(name: RepositoryName, number: number): Promise<void>;
  /**
   * Adds to the conversation that a review began at a line. False where the forge has no such call (Gitea).
   */
  replyAtLine(name: RepositoryName, number: number, reply: NewReply): Promise<boolean>;
  requestReview(name: RepositoryName, number: number, login: string): Promise<void>;
  /** Merges a pull request by the forge's own rules, which are never forced. */
  merge(name: RepositoryName, number: number, how: MergeOrder): Promise<MergeAnswer>;
  /**
   * Takes back that somebody was asked for a review; done too where nobody was. What that person asked for
   * before counts again.
   */
  withdrawReviewRequest(name: RepositoryName, number: number, login: string): Promise<void>;
  pullRequest(name: RepositoryName, number: number): Promise<PullRequest | null>;
  /** The open pull request from branch `head` of this very repository to `base`, if there is one. */
  findPullRequest(name: RepositoryName, head: string, base: string): Promise<PullRequest | null>;
  branch(name: RepositoryName, branch: string): Promise<Branch | null>;
  /**
   * What a person may do. The look-up needs admin rights of the bot on the repository: where it lacks them
   * the answer is `unknowable`, and callers fail closed. `userId` is whose rights these are: compare it.
   */
  permission(name: RepositoryName, login: string): Promise<PermissionAnswer>;
  /** Everybody who may read a private repository; `null` where the forge will not tell. */
  readers(name: RepositoryName): Promise<Person[] | null>;
  /**
   * Everybody who may write to it (whom an issue can be assigned to); empty where the forge will not tell.
   */
  writers(name: RepositoryName): Promise<Person[]>;
  /**
   * The newest issues that `author` opened, open or closed, at most 50; for finding what was opened before an
   * answer was lost.
   */
  issuesBy(name: RepositoryName, author: string): Promise<Issue[]>;
  isTeamMember(org: string, team: string, login: string): Promise<boolean>;
  /** Whether the bot can see that team at all: where it cannot, nobody is a member as far as it knows. */
  isTeamVisible(org: string, team: string): Promise<boolean>;
  /** The hooks of a repository; `null` where the forge will not tell (it needs admin rights). */
  hooks(name: RepositoryName): Promise<Hook[] | null>;
  /**
   * Has the forge send a push event to a hook, as its *Test Delivery* does. It says nothing of whether that
   * arrives, and sends none where the hook does not listen to pushes, or the repository has no commit.
   */
  testHook(name: RepositoryName, id: number): Promise<void>;

  postComment(name: RepositoryName, number: number, body: Markdown): Promise<Comment>;
  editComment(name: RepositoryName, id: number, body: Markdown): Promise<void>;
  deleteComment(name: RepositoryName, id: number): Promise<void>;
  /** Says how a commit stands; the newest of each context counts. Whoever may write can say it as well. */
  setStatus(name: RepositoryName, commit: string, status: CommitStatus): Promise<void>;
  /** Adding the same reaction twice is one reaction. */
  react(name: RepositoryName, commentId: number, reaction: Reaction): Promise<void>;
  openIssue(name: RepositoryName, title: string, body: Markdown): Promise<Issue>;
  openPullRequest(name: RepositoryName, draft: NewPullRequest): Promise<PullRequest>;
  editPullRequest(
    name: RepositoryName,
    number: number,
    change: { title?: string; body?: Markdown },
  ): Promise<void>;
}

/** `owner/name` in two parts; null where it is not of that form. */
export function parseRepositoryName(fullName: string): RepositoryName | null {
  const match = /^([\w.-]{1,100})\/([\w.-]{1,100})$/.exec(fullName);
  const [, owner, name] = match ?? [];
  if (
    owner === undefined ||
    name === undefined ||
    [owner, name].some((part) => part === "." || part === "..")
  )
    return null;
  return { owner, name };
}

export const PERMISSIONS = ["none", "read", "write", "admin", "owner"] as const;
export type Permission = (typeof PERMISSIONS)[number];

export type PermissionAnswer =
  | { readonly kind: "known"; readonly permission: Permission; readonly userId: number }
  | { readonly kind: "no-such-user" }
  | { readonly kind: "unknowable"; readonly why: string };

export const REACTIONS = ["eyes", "rocket", "confused"] as const;
export type Reaction = (typeof REACTIONS)[number];
