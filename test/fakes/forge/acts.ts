import { join } from "node:path";
import { emitComment, emitThread } from "./events.ts";
import { initRepository } from "./git.ts";
import type { Json } from "./payloads.ts";
import { commitFiles } from "./pushes.ts";
import type { Comment, Repository, Thread, User, World } from "./state.ts";

export interface NewRepository {
  readonly name: string;
  readonly owner: User;
  readonly isPrivate?: boolean;
  readonly defaultBranch?: string;
  readonly description?: string;
  /** Path -> text of the first commit; none or null leaves the repository empty. */
  readonly files?: Readonly<Record<string, string | Buffer>> | null;
}

/** Makes a repository; `by` becomes the author of its first commit. */
export async function createRepository(world: World, by: User, wanted: NewRepository): Promise<Repository> {
  const id = world.nextId("repository");
  const defaultBranch = wanted.defaultBranch ?? "main";
  const dir = join(world.root, `${id}.git`);
  await initRepository(dir, defaultBranch);
  const at = world.now();
  const repo: Repository = {
    id,
    ownerId: wanted.owner.id,
    name: wanted.name,
    description: wanted.description ?? "",
    isPrivate: wanted.isPrivate ?? false,
    isArchived: false,
    isMirror: false,
    isEmpty: true,
    defaultBranch,
    dir,
    collaborators: new Map(),
    threads: new Map(),
    labels: [],
    hooks: [],
    protectedBranches: [],
    formerNames: [],
    createdAt: at,
    updatedAt: at,
  };
  world.repositories.push(repo);
  if (wanted.files && Object.keys(wanted.files).length > 0) {
    await commitFiles(world, repo, {
      by,
      branch: defaultBranch,
      files: wanted.files,
      message: "Initial commit",
    });
  }
  return repo;
}

/** Opens an issue and fires `opened` (and `label_updated` where it has labels). */
export async function openIssue(
  world: World,
  repo: Repository,
  issue: { by: User; title: string; body: string; labels?: readonly number[] },
): Promise<Thread> {
  const thread = world.addThread(repo, issue.by, { title: issue.title, body: issue.body, pull: null });
  thread.labels = repo.labels.map((label) => label.id).filter((id) => issue.labels?.includes(id));
  await emitThread(world, { repo, thread }, { by: issue.by, action: "opened" });
  if (thread.labels.length > 0) {
    await emitThread(world, { repo, thread }, { by: issue.by, action: "label_updated", type: "issue_label" });
  }
  return thread;
}

/** Changes title or body of an issue or pull request; one `edited` for each, with the old text. */
export async function editThread(
  world: World,
  at: { repo: Repository; thread: Thread },
  change: { by: User; title?: string; body?: string },
): Promise<void> {
  const { repo, thread } = at;
  const edits: Json[] = [];
  if (change.title !== undefined && change.title !== thread.title) {
    edits.push({ title: { from: thread.title } });
    thread.title = change.title;
  }
  if (change.body !== undefined && change.body !== thread.body) {
    edits.push({ body: { from: thread.body } });
    thread.body = change.body;
  }
  if (edits.length > 0) thread.updatedAt = world.now();
  for (const changes of edits)
    await emitThread(world, { repo, thread }, { by: change.by, action: "edited", changes });
}

/** Deletes an issue with all its comments: nobody finds it any more, and its number stays taken. */
export async function deleteIssue(
  world: World,
  at: { repo: Repository; thread: Thread },
  by: User,
): Promise<void> {
  at.repo.threads.delete(at.thread.number);
  for (const one of world.commentsOf(at.repo, at.thread.number))
    world.comments.splice(world.comments.indexOf(one), 1);
  if (world.ways.issueDeletionTold) await emitThread(world, at, { by, action: "deleted" });
}

/** Closes or reopens; nothing happens where that is so already. */
export async function setOpen(
  world: World,
  at: { repo: Repository; thread: Thread },
  change: { by: User; isOpen: boolean; isMerge?: boolean },
): Promise<void> {
  if (at.thread.isOpen === change.isOpen) return;
  const type = change.isOpen ? "reopen" : change.isMerge === true ? "merge_pull" : "close";
  world.addAct(at, { by: change.by, type });
  await emitThread(world, at, { by: change.by, action: change.isOpen ? "reopened" : "closed" });
}

/** Stores a comment; `silently` stores it and fires nothing (the bug of recorded.md). */
export async function addComment(
  world: World,
  at: { repo: Repository; thread: Thread },
  comment: { by: User; body: string; silently?: boolean },
): Promise<Comment> {
  const now = world.now();
  const made: Comment = {
    id: world.nextId("comment"),
    repositoryId: at.repo.id,
    number: at.thread.number,
    authorId: comment.by.id,
    body: comment.body,
    createdAt: now,
    updatedAt: now,
    reactions: [],
  };
  world.comments.push(made);
  at.thread.updatedAt = now;
  if (!comment.silently) await emitComment(world, made, { by: comment.by, action: "created" });
  return made;
}

/** Fires `edited` also where the text stayed the same; the thread's own time stays, as on real servers. */
export async function editComment(
  world: World,
  comment: Comment,
  change: { by: User; body: string },
): Promise<void> {
  const from = comment.body;
  comment.body = change.body;
  comment.updatedAt = world.now();
  await emitComment(world, comment, { by: change.by, action: "edited", from });
}

export async function deleteComment(world: World, comment: Comment, by: User): Promise<void> {
  world.comments.splice(world.comments.indexOf(comment), 1);
  const thread = world.mustThread(world.repository(comment.repositoryId), comment.number);
  if (world.ways.removalMoves) thread.updatedAt = world.now();
  await emitComment(world, comment, { by, action: "deleted" });
}
