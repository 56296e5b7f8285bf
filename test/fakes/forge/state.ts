import { randomBytes } from "node:crypto";
import type {
  Access,
  Comment,
  CommitStatus,
  Pull,
  Reaction,
  Repository,
  Team,
  Thread,
  TimelineAct,
  Token,
  User,
} from "./records.ts";
import type { Ways } from "./ways.ts";
import type { Deliveries } from "./webhooks.ts";

export type * from "./records.ts";

/** Epoch ms cut to the second and written as Gitea writes times. */
export function stamp(at: number): string {
  return new Date(Math.floor(at / 1000) * 1000).toISOString().replace(".000Z", "Z");
}

/** Everything the stand-in knows, in memory; git objects lie below `root`. */
export class World {
  url = "";
  /** How far this server's clock is from ours, in its `Date` header too. */
  offsetMs = 0;
  readonly root: string;
  readonly deliveries: Deliveries;
  /**
   * Mimics go-gitea/gitea 32897: an API comment on a pull request is stored, then answered 500, without a
   * hook.
   */
  readonly bugPullRequestComment: boolean;
  /** What it calls itself. */
  readonly version: string;
  readonly ways: Ways;
  readonly users: User[] = [];
  readonly tokens: Token[] = [];
  readonly teams: Team[] = [];
  readonly repositories: Repository[] = [];
  readonly comments: Comment[] = [];
  readonly acts: TimelineAct[] = [];
  readonly statuses: CommitStatus[] = [];
  readonly sessions = new Map<string, { userId: number | null; csrf: string }>();
  readonly #lastIds = new Map<string, number>();
  readonly #turns = new Map<number, Promise<unknown>>();

  constructor(options: {
    root: string;
    deliveries: Deliveries;
    bugPullRequestComment: boolean;
    version: string;
    ways: Ways;
  }) {
    this.version = options.version;
    this.ways = options.ways;
    this.root = options.root;
    this.deliveries = options.deliveries;
    this.bugPullRequestComment = options.bugPullRequestComment;
  }

  now(): number {
    return Date.now() + this.offsetMs;
  }

  /** One at a time per repository: whoever moves branches looks at them before and after. */
  exclusive<T>(repo: Repository, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(repo.id) ?? Promise.resolve()).then(work, work);
    this.#turns.set(repo.id, turn);
    return turn;
  }

  nextId(kind: string): number {
    const id = (this.#lastIds.get(kind) ?? 0) + 1;
    this.#lastIds.set(kind, id);
    return id;
  }

  addUser(login: string, more: Partial<Omit<User, "id" | "login" | "createdAt">> = {}): User {
    const user: User = {
      id: this.nextId("user"),
      login,
      password: randomBytes(12).toString("hex"),
      email: `${login}@example.org`,
      isAdmin: false,
      isOrganization: false,
      isRestricted: false,
      isActive: true,
      createdAt: this.now(),
      ...more,
    };
    this.users.push(user);
    return user;
  }

  /** An organization, its team of owners with `owner` in it. */
  addOrganization(login: string, owner: User): User {
    const organization = this.addUser(login, { isOrganization: true, email: "" });
    this.addTeam(organization, { name: "Owners", permission: "owner", includesAll: true }).members.add(
      owner.id,
    );
    return organization;
  }

  addTeam(organization: User, team: { name: string; permission: Access; includesAll: boolean }): Team {
    const made: Team = {
      id: this.nextId("team"),
      organizationId: organization.id,
      members: new Set(),
      repositories: new Set(),
      ...team,
    };
    this.teams.push(made);
    return made;
  }

  addToken(user: User, name = `t${this.tokens.length + 1}`, scopes: readonly string[] = ["all"]): Token {
    const token = {
      id: this.nextId("token"),
      userId: user.id,
      name,
      secret: randomBytes(20).toString("hex"),
      scopes,
    };
    this.tokens.push(token);
    return token;
  }

  /** Names are compared without case, as Gitea does. */
  userByLogin(login: string): User | null {
    return this.users.find((user) => user.login.toLowerCase() === login.toLowerCase()) ?? null;
  }

  user(id: number): User {
    const found = this.users.find((user) => user.id === id);
    if (!found) throw new Error(`the stand-in has no user ${id}`);
    return found;
  }

  /** By current name only; `formerName` finds renamed ones. */
  repositoryByName(owner: string, name: string): Repository | null {
    return (
      this.repositories.find(
        (repo) => this.fullName(repo).toLowerCase() === `${owner}/${name}`.toLowerCase(),
      ) ?? null
    );
  }

  repositoryByFormerName(owner: string, name: string): Repository | null {
    const wanted = `${owner}/${name}`.toLowerCase();
    return (
      this.repositories.find((repo) => repo.formerNames.some((former) => former.toLowerCase() === wanted)) ??
      null
    );
  }

  repository(id: number): Repository {
    const found = this.repositories.find((repo) => repo.id === id);
    if (!found) throw new Error(`the stand-in has no repository ${id}`);
    return found;
  }

  fullName(repo: Repository): string {
    return `${this.user(repo.ownerId).login}/${repo.name}`;
  }

  /** For tests, which name what must exist: throws where the name is unknown. */
  mustRepository(fullName: string): Repository {
    const [owner = "", name = ""] = fullName.split("/");
    const found = this.repositoryByName(owner, name);
    if (!found) throw new Error(`the stand-in has no repository ${fullName}`);
    return found;
  }

  mustUser(login: string): User {
    const found = this.userByLogin(login);
    if (!found) throw new Error(`the stand-in has no user ${login}`);
    return found;
  }

  mustThread(repo: Repository, number: number): Thread {
    const found = repo.threads.get(number);
    if (!found) throw new Error(`${this.fullName(repo)} has no thread ${number}`);
    return found;
  }

  /** Writes down that a thread was closed, reopened or merged, and moves it. */
  addAct(at: { repo: Repository; thread: Thread }, act: { by: User; type: TimelineAct["type"] }): void {
    const createdAt = this.now();
    at.thread.isOpen = act.type === "reopen";
    at.thread.updatedAt = createdAt;
    at.thread.closedAt = at.thread.isOpen ? null : createdAt;
    this.acts.push({
      id: this.nextId("comment"),
      repositoryId: at.repo.id,
      number: at.thread.number,
      authorId: act.by.id,
      type: act.type,
      createdAt,
    });
  }

  commentsOf(repo: Repository, number: number): Comment[] {
    return this.comments.filter(
      (one) =>
        one.repositoryId === repo.id &&
        one.number === number &&
        one.line === undefined &&
        one.reviewId === undefined,
    );
  }

  /** At lines of a review, with the replies to them. */
  linesOf(reviewId: number): Comment[] {
    return this.comments.filter((one) => one.line?.reviewId === reviewId);
  }

  /** Numbers count per repository, one sequence for issues and pull requests. */
  addThread<P extends Pull | null>(
    repo: Repository,
    author: User,
    more: { title: string; body: string; pull: P },
  ): Thread & { readonly pull: P } {
    const at = this.now();
    const thread = {
      id: this.nextId("thread"),
      number: this.nextId(`number ${repo.id}`),
      authorId: author.id,
      isOpen: true,
      isLocked: false,
      labels: [] as number[],
      assignees: [] as number[],
      createdAt: at,
      updatedAt: at,
      closedAt: null,
      reactions: [] as Reaction[],
      ...more,
    };
    repo.threads.set(thread.number, thread);
    return thread;
  }
}
