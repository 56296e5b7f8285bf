import {
  addComment,
  deleteComment,
  deleteIssue,
  editComment,
  editThread,
  openIssue,
  setOpen,
} from "./acts.ts";
import {
  bare,
  type Call,
  fields,
  html,
  json,
  may,
  mustUser,
  needText,
  notFound,
  paged,
  type Reply,
  type Route,
  refuse,
  repoOf,
  repoToWrite,
  textField,
  threadOf,
  userOf,
} from "./http.ts";
import { commentJson, issueJson, type Json, labelsJson, userJson } from "./payloads.ts";
import { permissionOf } from "./rights.ts";
import {
  type Comment,
  type Reaction,
  type Repository,
  stamp,
  type Thread,
  type TimelineAct,
  type User,
  type World,
} from "./state.ts";

/** The contents `POST …/reactions` takes by default. */
const REACTIONS = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"];

/** The page a panic makes of an API call. */
export const PANIC_PAGE =
  "<!DOCTYPE html>\n<html>\n<head><title>Internal Server Error</title></head>\n<body>500</body>\n</html>\n";

/** `?since=` and `?before=` compare whole seconds of the last change, both ends included. */
function inSpan(call: Call): (updatedAt: number) => boolean {
  const edge = (name: string) => {
    const text = call.url.searchParams.get(name);
    if (text === null || text === "") return null;
    const at = Date.parse(text);
    if (Number.isNaN(at)) throw refuse(call, 422, `parsing time "${text}" as "2006-01-02T15:04:05Z07:00"`);
    return Math.floor(at / 1000);
  };
  const since = edge("since");
  const before = edge("before");
  return (updatedAt) => {
    const second = Math.floor(updatedAt / 1000);
    return (since === null || second >= since) && (before === null || second <= before);
  };
}

/**
 * The threads of some repositories that the query's `state`, `type`, `since` and `before` fit, the youngest
 * first.
 */
function listThreads(call: Call, repositories: readonly Repository[]): Reply {
  const query = call.url.searchParams;
  const state = query.get("state") ?? "open";
  const type = query.get("type");
  const fits = inSpan(call);
  const found = repositories
    .flatMap((repo) => [...repo.threads.values()].map((thread) => ({ repo, thread })))
    .filter(({ thread }) => state === "all" || thread.isOpen === (state !== "closed"))
    .filter(({ thread }) => (type === "issues" ? !thread.pull : type === "pulls" ? thread.pull : true))
    .filter(({ thread }) => fits(thread.updatedAt))
    .sort((a, b) => second(b.thread.createdAt) - second(a.thread.createdAt) || b.thread.id - a.thread.id);
  const { items, headers } = paged(call, found);
  return json(
    200,
    items.map((at) => issueJson(call.world, at, userOf(call))),
    headers,
  );
}

function second(at: number): number {
  return Math.floor(at / 1000);
}

/** Across all repositories that the asker sees, or those of one owner. */
function searchIssues(call: Call): Reply {
  const viewer = userOf(call);
  const name = call.url.searchParams.get("owner") ?? "";
  const owner = name === "" ? null : call.world.userByLogin(name);
  if (name !== "" && owner === null) throw refuse(call, 400, `user does not exist [uid: 0, name: ${name}]`);
  const visible = call.world.repositories.filter(
    (repo) =>
      (owner === null || repo.ownerId === owner.id) && permissionOf(call.world, repo, viewer) !== "none",
  );
  return listThreads(call, visible);
}

async function createIssue(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const title = needText(call, "title");
  const labels = may(call, repo, "write") ? fields(call).labels : [];
  const ids = Array.isArray(labels) ? labels.map(Number) : [];
  const thread = await openIssue(call.world, repo, {
    by,
    title,
    body: textField(call, "body") ?? "",
    labels: ids,
  });
  return json(201, issueJson(call.world, { repo, thread }, by));
}

async function editIssue(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = threadOf(call, repo);
  if (thread.authorId !== by.id && !may(call, repo, "write")) return bare(403);
  await changeThread(call, { repo, thread }, by);
  return json(201, issueJson(call.world, { repo, thread }, by));
}

async function removeIssue(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const thread = threadOf(call, repo);
  if (!may(call, repo, "admin")) return bare(403);
  await deleteIssue(call.world, { repo, thread }, by);
  return bare(204);
}

/** What `PATCH` of an issue and of a pull request have in common. */
export async function changeThread(
  call: Call,
  at: { repo: Repository; thread: Thread },
  by: User,
): Promise<void> {
  const [title, body] = [textField(call, "title"), textField(call, "body")];
  await editThread(call.world, at, {
    by,
    ...(title === undefined || title === "" ? {} : { title }),
    ...(body === undefined ? {} : { body }),
  });
  const state = textField(call, "state");
  if (state === undefined) return;
  if (at.thread.pull?.merged)
    throw refuse(call, 412, "cannot change state of this pull request, it was already merged");
  if (state !== "open" && state !== "closed") throw refuse(call, 412, `unknown state: ${state}`);
  await setOpen(call.world, at, { by, isOpen: state === "open" });
}

function missingIsServerError(call: Call, repo: Repository): Thread {
  const thread = repo.threads.get(Number(call.params.index));
  if (!thread) throw refuse(call, 500, "issue does not exist");
  return thread;
}

async function createComment(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const body = needText(call, "body");
  const thread = missingIsServerError(call, repo);
  if (thread.isLocked && !may(call, repo, "write")) throw refuse(call, 403, "comment_on_locked");
  const silently = call.world.bugPullRequestComment && thread.pull !== null;
  const comment = await addComment(call.world, { repo, thread }, { by, body, silently });
  return silently ? html(500, PANIC_PAGE) : json(201, commentJson(call.world, comment));
}

/** Oldest first and never paged: everything at once. */
function listComments(call: Call): Reply {
  const repo = repoOf(call);
  const thread = missingIsServerError(call, repo);
  const fits = inSpan(call);
  const found = call.world.commentsOf(repo, thread.number).filter((comment) => fits(comment.updatedAt));
  const list = found.map((comment) => commentJson(call.world, comment));
  return json(200, list, { "X-Total-Count": String(list.length) });
}

/** Everything at once without `page` and `limit`. */
function listRepositoryComments(call: Call): Reply {
  const repo = repoOf(call);
  const fits = inSpan(call);
  const found = call.world.comments.filter(
    (one) => one.repositoryId === repo.id && one.reviewId === undefined && fits(one.updatedAt),
  );
  const page = call.url.searchParams.has("page") ? paged(call, found, false).items : found;
  return json(
    200,
    page.map((one) => commentJson(call.world, one)),
    { "X-Total-Count": String(found.length) },
  );
}

function commentOf(call: Call, repo: Repository): Comment {
  const id = Number(call.params.id);
  const comment = call.world.comments.find((one) => one.id === id);
  if (!comment) throw notFound(call, undefined, [`comment does not exist [id: ${id}, issue_id: 0]`]);
  if (comment.repositoryId !== repo.id) throw notFound(call);
  return comment;
}

async function changeComment(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const body = needText(call, "body");
  const comment = commentOf(call, repo);
  if (comment.authorId !== by.id && !may(call, repo, "write")) return bare(403);
  await editComment(call.world, comment, { by, body });
  return json(200, commentJson(call.world, comment));
}

async function removeComment(call: Call): Promise<Reply> {
  const repo = repoToWrite(call);
  const by = mustUser(call);
  const comment = commentOf(call, repo);
  if (comment.authorId !== by.id && !may(call, repo, "write")) return bare(403);
  await deleteComment(call.world, comment, by);
  return bare(204);
}

function listReactions(call: Call, reactions: readonly Reaction[]): Reply {
  const list = reactions.map((one) => ({
    user: userJson(call.world, call.world.user(one.userId), userOf(call)),
    content: one.content,
    created_at: stamp(one.createdAt),
  }));
  return json(200, list.length > 0 ? list : null);
}

function react(call: Call, reactions: Reaction[]): Reply {
  const by = mustUser(call);
  const content = textField(call, "content") ?? "";
  const index = reactions.findIndex((one) => one.userId === by.id && one.content === content);
  if (call.method === "DELETE") {
    if (index >= 0) reactions.splice(index, 1);
    return bare(200);
  }
  if (!REACTIONS.includes(content)) throw refuse(call, 403, `'${content}' is not an allowed reaction`);
  const reaction = reactions[index] ?? { userId: by.id, content, createdAt: call.world.now() };
  if (index < 0) reactions.push(reaction);
  const shown = { user: userJson(call.world, by, by), content, created_at: stamp(reaction.createdAt) };
  return json(index < 0 ? 201 : 200, shown);
}

function actJson(world: World, act: TimelineAct, viewer: User | null): Json {
  const at = stamp(act.createdAt);
  const user = userJson(world, world.user(act.authorId), viewer);
  return { id: act.id, type: act.type, user, body: "", created_at: at, updated_at: at };
}

function timeline(call: Call): Reply {
  const repo = repoOf(call);
  const thread = missingIsServerError(call, repo);
  const viewer = userOf(call);
  const comments = call.world.commentsOf(repo, thread.number).map((comment) => ({
    id: comment.id,
    at: comment.createdAt,
    shown: { type: "comment", ...commentJson(call.world, comment) },
  }));
  const acts = call.world.acts
    .filter((act) => act.repositoryId === repo.id && act.number === thread.number)
    .map((act) => ({ id: act.id, at: act.createdAt, shown: actJson(call.world, act, viewer) }));
  const list = [...comments, ...acts]
    .sort((a, b) => second(a.at) - second(b.at) || a.id - b.id)
    .map((one) => one.shown);
  return json(200, list.length > 0 ? list : null, { "X-Total-Count": String(list.length) });
}

/** Only ids and names of labels of the repository count; unknown ones vanish without a word. */
function addLabels(call: Call): Reply {
  const repo = repoToWrite(call, "write");
  const thread = threadOf(call, repo);
  const wanted = fields(call).labels;
  const asked = Array.isArray(wanted) ? wanted : [];
  for (const label of repo.labels) {
    if ((asked.includes(label.id) || asked.includes(label.name)) && !thread.labels.includes(label.id)) {
      thread.labels.push(label.id);
    }
  }
  return json(200, labelsJson(call.world, repo, thread));
}

const R = "/repos/:owner/:repo/issues";

/** Issues, comments and reactions. */
export const ISSUE_ROUTES: readonly Route[] = [
  { method: "GET", path: "/repos/issues/search", handler: searchIssues },
  { method: "GET", path: R, handler: (call) => listThreads(call, [repoOf(call)]) },
  { method: "POST", path: R, handler: createIssue },
  { method: "GET", path: `${R}/comments`, handler: listRepositoryComments },
  {
    method: "GET",
    path: `${R}/comments/:id`,
    handler: (call) => {
      const comment = commentOf(call, repoOf(call));
      // What stands at a line is not told here, and neither is that it is there.
      const isPlain = comment.line === undefined && comment.reviewId === undefined;
      return isPlain ? json(200, commentJson(call.world, comment)) : bare(204);
    },
  },
  { method: "PATCH", path: `${R}/comments/:id`, handler: changeComment },
  { method: "DELETE", path: `${R}/comments/:id`, handler: removeComment },
  {
    method: "GET",
    path: `${R}/comments/:id/reactions`,
    handler: (call) => listReactions(call, commentOf(call, repoOf(call)).reactions),
  },
  ...["POST", "DELETE"].flatMap((method): Route[] => [
    {
      method,
      path: `${R}/comments/:id/reactions`,
      handler: (call) => react(call, commentOf(call, repoToWrite(call)).reactions),
    },
    {
      method,
      path: `${R}/:index/reactions`,
      handler: (call) => react(call, threadOf(call, repoToWrite(call)).reactions),
    },
  ]),
  {
    method: "GET",
    path: `${R}/:index/reactions`,
    handler: (call) => listReactions(call, threadOf(call, repoOf(call)).reactions),
  },
  {
    method: "GET",
    path: `${R}/:index`,
    handler: (call) => {
      const repo = repoOf(call);
      return json(200, issueJson(call.world, { repo, thread: threadOf(call, repo) }, userOf(call)));
    },
  },
  { method: "PATCH", path: `${R}/:index`, handler: editIssue },
  { method: "DELETE", path: `${R}/:index`, handler: removeIssue },
  { method: "GET", path: `${R}/:index/comments`, handler: listComments },
  { method: "POST", path: `${R}/:index/comments`, handler: createComment },
  { method: "GET", path: `${R}/:index/timeline`, handler: timeline },
  { method: "POST", path: `${R}/:index/labels`, handler: addLabels },
];
