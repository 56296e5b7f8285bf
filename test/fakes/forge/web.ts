import { randomBytes } from "node:crypto";
import { addComment, openIssue, setOpen } from "./acts.ts";
import {
  bare,
  type Call,
  html,
  json,
  matcher,
  may,
  notFound,
  type Reply,
  type Route,
  repoOf,
  threadOf,
} from "./http.ts";
import { renderForm } from "./issue-forms.ts";
import { authorize, grant, OAUTH_ROUTES } from "./oauth.ts";
import { isPull, pullDiff } from "./pull-payloads.ts";
import { threadText } from "./thread.ts";

/** Gitea's session and CSRF cookies. */
const SESSION = "i_like_gitea";
const CSRF = "_csrf";

interface Session {
  readonly id: string;
  userId: number | null;
  readonly csrf: string;
}

function cookie(call: Call, name: string): string | null {
  const parts = (call.headers.cookie ?? "").split(/;\s*/);
  const found = parts.find((part) => part.startsWith(`${name}=`));
  return found === undefined ? null : decodeURIComponent(found.slice(name.length + 1));
}

function sessionOf(call: Call): Session {
  const id = cookie(call, SESSION);
  const known = id === null ? undefined : call.world.sessions.get(id);
  return id !== null && known ? { id, ...known } : newSession(call, null);
}

function newSession(call: Call, userId: number | null): Session {
  const session = { id: randomBytes(16).toString("hex"), userId, csrf: randomBytes(16).toString("hex") };
  call.world.sessions.set(session.id, { userId, csrf: session.csrf });
  return session;
}

function cookies(session: Session): { "Set-Cookie": string[] } {
  const attributes = "Path=/; HttpOnly; SameSite=Lax";
  return {
    "Set-Cookie": [`${SESSION}=${session.id}; ${attributes}`, `${CSRF}=${session.csrf}; ${attributes}`],
  };
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function loginPage(call: Call): Reply {
  const session = sessionOf(call);
  const form = `<form method="post"><input type="hidden" name="_csrf" value="${session.csrf}"><input name="user_name"><input name="password" type="password"></form>`;
  return html(200, `<!DOCTYPE html><title>Sign in</title>${form}`, cookies(session));
}

/** The form's fields; null where the CSRF token is missing or another session's. */
function formOf(call: Call, session: Session): URLSearchParams | null {
  const form = new URLSearchParams(call.text);
  const token = call.headers["x-csrf-token"] ?? form.get("_csrf");
  return token === session.csrf ? form : null;
}

const BAD_CSRF: Reply = {
  status: 400,
  headers: { "Content-Type": "text/plain" },
  body: "Invalid CSRF token.\n",
};

function signIn(call: Call): Reply {
  const session = sessionOf(call);
  const form = formOf(call, session);
  if (!form) return BAD_CSRF;
  const user = call.world.userByLogin(form.get("user_name") ?? "");
  if (!user || user.isOrganization || user.password !== form.get("password")) return loginPage(call);
  call.world.sessions.delete(session.id);
  return { ...bare(303), headers: { Location: "/", ...cookies(newSession(call, user.id)) } };
}

/** Everything a page needs: the call as the session's user sees it. */
function asVisitor(call: Call, session: Session): Call {
  if (session.userId === null) return { ...call, login: { kind: "nobody" } };
  return {
    ...call,
    login: { kind: "user", user: call.world.user(session.userId), byPassword: true, mayWrite: true },
  };
}

/**
 * What the comment form below a thread does; CRLF stays, an empty text with `status` only closes or reopens.
 */
async function comment(call: Call): Promise<Reply> {
  const session = sessionOf(call);
  if (session.userId === null)
    return { ...bare(303), headers: { Location: "/user/login", ...cookies(session) } };
  const form = formOf(call, session);
  if (!form) return BAD_CSRF;
  const visitor = asVisitor(call, session);
  const repo = repoOf(visitor);
  const thread = threadOf(visitor, repo);
  const by = call.world.user(session.userId);
  if (repo.isArchived) return bare(403);
  if (thread.isLocked && !may(visitor, repo, "write")) return json(400, { errorMessage: "locked" });
  const body = form.get("content") ?? "";
  const made = body === "" ? null : await addComment(call.world, { repo, thread }, { by, body });
  const status = form.get("status");
  const mayClose = thread.authorId === by.id || may(visitor, repo, "write");
  if (mayClose && (status === "close" || status === "reopen")) {
    await setOpen(call.world, { repo, thread }, { by, isOpen: status === "reopen" });
  }
  const kind = thread.pull ? "pulls" : "issues";
  const anchor = made ? `#issuecomment-${made.id}` : "";
  return json(200, { redirect: `/${call.world.fullName(repo)}/${kind}/${thread.number}${anchor}` });
}

/** Opens an issue, with the text that a form makes of its fields where one is named. */
async function newIssue(call: Call): Promise<Reply> {
  const session = sessionOf(call);
  if (session.userId === null)
    return { ...bare(303), headers: { Location: "/user/login", ...cookies(session) } };
  const form = formOf(call, session);
  if (!form) return BAD_CSRF;
  const repo = repoOf(asVisitor(call, session));
  const template = form.get("template-file") ?? "";
  const body =
    template === ""
      ? (form.get("content") ?? "")
      : await renderForm(repo, template, (id) => form.get(`form-field-${id}`) ?? "");
  if (body === null) throw notFound(call);
  const by = call.world.user(session.userId);
  const thread = await openIssue(call.world, repo, { by, title: form.get("title") ?? "", body });
  return json(200, { redirect: `/${call.world.fullName(repo)}/issues/${thread.number}` });
}

function threadPage(call: Call): Reply {
  const session = sessionOf(call);
  const visitor = asVisitor(call, session);
  const repo = repoOf(visitor);
  const text = threadText(call.world, repo, threadOf(visitor, repo).number);
  return html(200, `<!DOCTYPE html><meta charset="utf-8"><pre>${escapeHtml(text)}</pre>`, cookies(session));
}

async function diff(call: Call): Promise<Reply> {
  const visitor = asVisitor(call, sessionOf(call));
  const repo = repoOf(visitor);
  const thread = threadOf(visitor, repo);
  if (!isPull(thread)) throw notFound(call);
  const headers = { "Content-Type": "text/plain; charset=utf-8" };
  return { status: 200, headers, body: await pullDiff(repo, thread) };
}

function authorizePage(call: Call): Reply {
  const session = sessionOf(call);
  return authorize(call, { userId: session.userId, headers: cookies(session) });
}

function grantPage(call: Call): Reply {
  const session = sessionOf(call);
  const form = formOf(call, session);
  if (!form) return BAD_CSRF;
  return grant(call, { userId: session.userId, headers: cookies(session), form });
}

function homePage(call: Call): Reply {
  return html(200, "<!DOCTYPE html><title>stand-in</title>", cookies(sessionOf(call)));
}

/** Pages a browser opens: login, a thread, its comment form, a diff. */
export const WEB_ROUTES: readonly (Route & { readonly match: ReturnType<typeof matcher> })[] = [
  { method: "GET", path: "/", handler: homePage },
  { method: "GET", path: "/user/login", handler: loginPage },
  { method: "POST", path: "/user/login", handler: signIn },
  { method: "GET", path: "/:owner/:repo/pulls/:index.diff", handler: diff },
  { method: "GET", path: "/login/oauth/authorize", handler: authorizePage },
  { method: "POST", path: "/login/oauth/grant", handler: grantPage },
  ...OAUTH_ROUTES,
  { method: "POST", path: "/:owner/:repo/issues/new", handler: newIssue },
  { method: "GET", path: "/:owner/:repo/issues/:index", handler: threadPage },
  { method: "GET", path: "/:owner/:repo/pulls/:index", handler: threadPage },
  { method: "POST", path: "/:owner/:repo/issues/:index/comments", handler: comment },
].map((route) => ({ ...route, match: matcher(route.path) }));
