import {
  addComment,
  createRepository,
  deleteComment,
  editComment,
  editThread,
  openIssue,
  setOpen,
} from "./acts.ts";
import { subscribe } from "./events.ts";
import { branches } from "./git.ts";
import { addReview, askReview, mergePull, type NewReview, openPull, replyAtLine } from "./pull-acts.ts";
import { isPull, type PullThread, pullDiff } from "./pull-payloads.ts";
import { commitFiles, moveBranch } from "./pushes.ts";
import type { Comment, Hook, Repository, Review, Thread, User, World } from "./state.ts";
import { threadText } from "./thread.ts";

export interface NewHook {
  readonly url: string;
  readonly secret: string;
  /** The list that gitea.md recommends where untold. */
  readonly events?: readonly string[];
  readonly active?: boolean;
}

export interface RepositoryOptions {
  readonly isPrivate?: boolean;
  readonly defaultBranch?: string;
  /** Path -> text of the first commit; a README where untold, null for an empty repository. */
  readonly files?: Readonly<Record<string, string | Buffer>> | null;
}

/**
 * What people do, for tests: every method acts at once and fires what a real server would. Repositories are
 * named `owner/name`, people by login; unknown names throw.
 */
export class People {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  createUser(login: string): { id: number; login: string; password: string; token: string } {
    const user = this.#world.addUser(login);
    return { id: user.id, login, password: user.password, token: this.#world.addToken(user).secret };
  }

  createOrganization(login: string, owner: string): { id: number } {
    return { id: this.#world.addOrganization(login, this.#world.mustUser(owner)).id };
  }

  /** Members of a team with `write` or `admin` get that right on every repository of the organization. */
  createTeam(
    organization: string,
    name: string,
    team: { permission: "read" | "write" | "admin"; members: string[] },
  ): void {
    const made = this.#world.addTeam(this.#world.mustUser(organization), {
      name,
      permission: team.permission,
      includesAll: true,
    });
    for (const login of team.members) made.members.add(this.#world.mustUser(login).id);
  }

  async createRepository(fullName: string, options: RepositoryOptions = {}): Promise<Repository> {
    const [ownerName = "", name = ""] = fullName.split("/");
    const owner = this.#world.mustUser(ownerName);
    const by = owner.isOrganization ? this.#world.mustUser("root1") : owner;
    const files = options.files === undefined ? { "README.md": `# ${name}\n\n` } : options.files;
    return createRepository(this.#world, by, { ...options, name, owner, files });
  }

  addCollaborator(repo: string, login: string, permission: "read" | "write" | "admin"): void {
    this.#repo(repo).collaborators.set(this.#world.mustUser(login).id, permission);
  }

  removeCollaborator(repo: string, login: string): void {
    this.#repo(repo).collaborators.delete(this.#world.mustUser(login).id);
  }

  createHook(repo: string, hook: NewHook): Hook {
    const made: Hook = {
      id: this.#world.nextId("hook"),
      url: hook.url,
      secret: hook.secret,
      active: hook.active ?? true,
      contentType: "json",
      authorization: "",
      flags: subscribe(hook.events ?? ["issues", "pull_request", "push", "create", "delete"]),
      createdAt: this.#world.now(),
    };
    this.#repo(repo).hooks.push(made);
    return made;
  }

  archive(repo: string, isArchived = true): void {
    this.#repo(repo).isArchived = isArchived;
  }

  rename(repo: string, name: string): void {
    const found = this.#repo(repo);
    found.formerNames.push(repo);
    found.name = name;
  }

  /** Gives a repository to another owner; as on a real server the old name leads to it from then on. */
  transfer(repo: string, owner: string): void {
    const found = this.#repo(repo);
    found.formerNames.push(repo);
    found.ownerId = this.#world.mustUser(owner).id;
  }

  /** Removes it without an event, as Gitea does; a new one of that name gets a new id. */
  deleteRepository(repo: string): void {
    this.#world.repositories.splice(this.#world.repositories.indexOf(this.#repo(repo)), 1);
  }

  renameUser(login: string, to: string): void {
    this.#world.mustUser(login).login = to;
  }

  deleteUser(login: string): void {
    const user = this.#world.mustUser(login);
    // Their rows stay so that old threads still show an author; nobody finds or becomes them any more.
    user.login = `deleted-${user.id}`;
    user.isActive = false;
    for (const repo of this.#world.repositories) repo.collaborators.delete(user.id);
    for (const team of this.#world.teams) team.members.delete(user.id);
  }

  /** A branch name or glob that nobody may push to. */
  protectBranch(repo: string, pattern: string): void {
    this.#repo(repo).protectedBranches.push(pattern);
  }

  async openIssue(
    login: string,
    repo: string,
    issue: { title: string; body: string; labels?: string[] },
  ): Promise<number> {
    const found = this.#repo(repo);
    const labels = found.labels
      .filter((label) => issue.labels?.includes(label.name))
      .map((label) => label.id);
    return (await openIssue(this.#world, found, { ...issue, by: this.#user(login), labels })).number;
  }

  editIssue(login: string, at: ThreadAt, change: { title?: string; body?: string }): Promise<void> {
    return editThread(this.#world, this.#at(at), { by: this.#user(login), ...change });
  }

  closeIssue(login: string, at: ThreadAt): Promise<void> {
    return setOpen(this.#world, this.#at(at), { by: this.#user(login), isOpen: false });
  }

  reopenIssue(login: string, at: ThreadAt): Promise<void> {
    return setOpen(this.#world, this.#at(at), { by: this.#user(login), isOpen: true });
  }

  lock(at: ThreadAt): void {
    this.#at(at).thread.isLocked = true;
  }

  /** Answers the comment's id. */
  async comment(login: string, at: ThreadAt, body: string): Promise<number> {
    return (await addComment(this.#world, this.#at(at), { by: this.#user(login), body })).id;
  }

  editComment(login: string, id: number, body: string): Promise<void> {
    return editComment(this.#world, this.#comment(id), { by: this.#user(login), body });
  }

  deleteComment(login: string, id: number): Promise<void> {
    return deleteComment(this.#world, this.#comment(id), this.#user(login));
  }

  comments(repo: string, number: number): Comment[] {
    return this.#world.commentsOf(this.#repo(repo), number);
  }

  async openPullRequest(
    login: string,
    repo: string,
    wanted: { title: string; body: string; head: string; base: string },
  ): Promise<number> {
    return (await openPull(this.#world, this.#repo(repo), { ...wanted, by: this.#user(login) })).number;
  }

  review(login: string, at: ThreadAt, review: Omit<NewReview, "by">): Promise<Review> {
    return addReview(this.#world, this.#pull(at), { ...review, by: this.#user(login) });
  }

  /** Answers at the same line as the first comment of a review. Answers the comment's id. */
  async replyAtLine(login: string, at: ThreadAt, reviewId: number, body: string): Promise<number> {
    const [to] = this.linesOf(reviewId);
    if (to === undefined) throw new Error(`review ${reviewId} says nothing at a line`);
    return (await replyAtLine(this.#world, this.#pull(at), { by: this.#user(login), to, body })).id;
  }

  /** Marks the conversation that a comment began as resolved, as the browser does. */
  resolve(login: string, commentId: number): void {
    const comment = this.#world.comments.find((one) => one.id === commentId);
    if (comment === undefined) throw new Error(`there is no comment ${commentId}`);
    comment.resolverId = this.#user(login).id;
  }

  linesOf(reviewId: number): Comment[] {
    return this.#world.linesOf(reviewId);
  }

  requestReview(login: string, at: ThreadAt, reviewer: string): Promise<Review | null> {
    return askReview(this.#world, this.#pull(at), { by: this.#user(login), reviewer: this.#user(reviewer) });
  }

  async merge(login: string, at: ThreadAt): Promise<void> {
    if (!(await mergePull(this.#world, this.#pull(at), this.#user(login)))) throw new Error("conflict");
  }

  pullRequests(repo: string): PullThread[] {
    return [...this.#repo(repo).threads.values()].filter(isPull);
  }

  diff(at: ThreadAt): Promise<string> {
    const { repo, thread } = this.#pull(at);
    return pullDiff(repo, thread);
  }

  /** One commit on a branch, which is made from the default branch where it is missing; answers its id. */
  async commit(
    login: string,
    repo: string,
    commit: { branch: string; files: Record<string, string | null>; message?: string },
  ): Promise<string> {
    const found = this.#repo(repo);
    const isThere = (await branches(found.dir)).has(commit.branch);
    return commitFiles(this.#world, found, {
      by: this.#user(login),
      branch: isThere ? commit.branch : found.defaultBranch,
      newBranch: commit.branch,
      files: commit.files,
      message: commit.message ?? "change",
    });
  }

  deleteBranch(login: string, repo: string, branch: string): Promise<void> {
    return moveBranch(this.#world, this.#repo(repo), { by: this.#user(login), branch, to: null });
  }

  /** The commit at a branch's tip, or null. */
  async branch(repo: string, name: string): Promise<string | null> {
    return (await branches(this.#repo(repo).dir)).get(name) ?? null;
  }

  /** A thread as a reader sees it, in plain text. */
  exportThread(repo: string, number: number): string {
    return threadText(this.#world, this.#repo(repo), number);
  }

  #repo(fullName: string): Repository {
    return this.#world.mustRepository(fullName);
  }

  #user(login: string): User {
    return this.#world.mustUser(login);
  }

  #at(at: ThreadAt): { repo: Repository; thread: Thread } {
    const repo = this.#repo(at.repo);
    return { repo, thread: this.#world.mustThread(repo, at.number) };
  }

  #pull(at: ThreadAt): { repo: Repository; thread: PullThread } {
    const { repo, thread } = this.#at(at);
    if (!isPull(thread)) throw new Error(`${at.repo}#${at.number} is no pull request`);
    return { repo, thread };
  }

  #comment(id: number): Comment {
    const found = this.#world.comments.find((comment) => comment.id === id);
    if (!found) throw new Error(`the stand-in has no comment ${id}`);
    return found;
  }
}

/** An issue or pull request by its repository's full name and its number. */
export interface ThreadAt {
  readonly repo: string;
  readonly number: number;
}
