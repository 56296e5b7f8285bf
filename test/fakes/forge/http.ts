import type { IncomingMessage } from "node:http";
import { isPull, type PullThread } from "./pull-payloads.ts";
import { covers, type Login, type Permission, permissionOf } from "./rights.ts";
import type { Repository, Thread, User, World } from "./state.ts";

/** An answer, made before anything is written, so that a fault can still take its place. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
}

/** One API request under way. */
export interface Call {
  readonly world: World;
  readonly method: string;
  readonly url: URL;
  /** The path's variable parts, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage["headers"];
  readonly login: Login;
  readonly text: string;
}

export type Handler = (call: Call) => Promise<Reply> | Reply;

export interface Route {
  readonly method: string;
  /** Such as `/repos/:owner/:repo/branches/*branch`; a star takes slashes too. */
  readonly path: string;
  readonly handler: Handler;
}

/** A refusal on its way out of nested calls; only `answer` in `server.ts` catches it. */
export class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`refused with ${reply.status}`);
    this.reply = reply;
  }
}

export function json(status: number, value: unknown, headers: Reply["headers"] = {}): Reply {
  const type = { "Content-Type": "application/json;charset=utf-8" };
  return { status, headers: { ...type, ...headers }, body: `${JSON.stringify(value)}\n` };
}

/** A bare status, as Gitea answers some 403, 404 and all 204. */
export function bare(status: number): Reply {
  return { status, headers: {}, body: "" };
}

export function html(status: number, body: string, headers: Reply["headers"] = {}): Reply {
  return { status, headers: { "Content-Type": "text/html; charset=utf-8", ...headers }, body };
}

/** Gitea's `{message, url}`; a 500 hides its message from all but site admins. */
export function refuse(call: Pick<Call, "world">, status: number, message: string): Refusal {
  const shown = status === 500 ? "" : message;
  return new Refusal(json(status, { message: shown, url: `${call.world.url}/api/swagger` }));
}

/** A 404 with a body: `errors` tells more, and is null where there is nothing to tell. */
export function notFound(
  call: Pick<Call, "world">,
  message = "The target couldn't be found.",
  errors: readonly string[] | null = null,
): Refusal {
  return new Refusal(json(404, { errors, message, url: `${call.world.url}/api/swagger` }));
}

/** Compiles `/a/:b/*c` to a matcher. */
export function matcher(path: string): (pathname: string) => Record<string, string> | null {
  const names: string[] = [];
  const source = path.replaceAll(".", "\\.").replace(/[:*]([a-z]+)/g, (found, name: string) => {
    names.push(name);
    return found.startsWith("*") ? "(.+)" : "([^/]+)";
  });
  const pattern = new RegExp(`^${source}$`);
  return (pathname) => {
    const match = pattern.exec(pathname);
    if (!match) return null;
    return Object.fromEntries(names.map((name, index) => [name, decode(match[index + 1] ?? "")]));
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The person who asks, after `Sudo`; refuses where nobody is logged in. */
export function mustUser(call: Call): User {
  const user = userOf(call);
  if (!user) throw refuse(call, 401, "token is required");
  return user;
}

/** The person who asks, or null; bad credentials and forbidden `Sudo` are refused. */
export function userOf(call: Call): User | null {
  if (call.login.kind === "bad") throw refuse(call, 401, "user does not exist [uid: 0, name: ]");
  if (call.login.kind === "nobody") return null;
  if (call.login.user.mustChangePassword === true)
    throw refuse(call, 403, "You must change your password. Change it at: /user/change_password");
  if (!call.login.mayWrite && call.method !== "GET")
    throw refuse(call, 403, "token does not have at least one of required scope(s), required=[write:…]");
  const sudo = call.headers.sudo ?? call.url.searchParams.get("sudo");
  if (typeof sudo !== "string" || sudo === "") return call.login.user;
  if (!call.login.user.isAdmin) throw refuse(call, 403, "Only administrators allowed to sudo.");
  const other = call.world.userByLogin(sudo);
  if (!other) throw notFound(call);
  return other;
}

/** Refuses a token without the scopes to read what these are about; who may write there may read there too. */
export function mustScope(call: Call, ...categories: readonly string[]): void {
  const scopes = call.login.kind === "user" ? (call.login.scopes ?? ["all"]) : ["all"];
  const lacking = categories.filter(
    (category) => !scopes.some((one) => ["all", `read:${category}`, `write:${category}`].includes(one)),
  );
  if (lacking.length === 0) return;
  const required = lacking.map((category) => `read:${category}`).join(", ");
  throw refuse(call, 403, `token does not have at least one of required scope(s), required=[${required}]`);
}

/** The repository of the path: 404 where hidden, a redirect where renamed, 403 below `need`. */
export function repoOf(call: Call, need: Permission = "read"): Repository {
  const user = userOf(call);
  const { owner = "", repo: name = "" } = call.params;
  const repo = call.world.repositoryByName(owner, name);
  if (!repo) {
    const renamed = call.world.repositoryByFormerName(owner, name);
    if (!renamed && !call.world.userByLogin(owner)) {
      throw notFound(call, "GetUserByName", [`user redirect does not exist [name: ${owner}]`]);
    }
    if (!renamed) throw notFound(call);
    const path = call.url.pathname.replace(
      `/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`,
      `/${call.world.fullName(renamed)}`,
    );
    throw new Refusal({
      status: call.world.ways.renamed,
      headers: { Location: `${path}${call.url.search}` },
      body: "",
    });
  }
  const permission = permissionOf(call.world, repo, user);
  if (permission === "none") throw notFound(call);
  if (!covers(permission, need)) {
    const text =
      need === "admin"
        ? "user should be an owner or a collaborator with admin write of a repository"
        : "user should have a permission to write to a repo";
    throw user ? refuse(call, 403, text) : refuse(call, 401, "token is required");
  }
  return repo;
}

/** As `repoOf`, for writes: a login is needed and the repository must not be archived. */
export function repoToWrite(call: Call, need: Permission = "read"): Repository {
  mustUser(call);
  const repo = repoOf(call, need);
  if (repo.isArchived)
    throw refuse(call, 423, `<Repository ${repo.id}:${call.world.fullName(repo)}> is archived`);
  return repo;
}

/** Whether the asking person has at least `need` on the repository. */
export function may(call: Call, repo: Repository, need: Permission): boolean {
  return covers(permissionOf(call.world, repo, userOf(call)), need);
}

export function threadOf(call: Call, repo: Repository): Thread {
  const thread = repo.threads.get(Number(call.params.index));
  if (!thread) throw notFound(call);
  return thread;
}

export function pullOf(call: Call, repo: Repository): PullThread {
  const thread = threadOf(call, repo);
  if (!isPull(thread)) throw notFound(call);
  return thread;
}

export type Fields = Readonly<Record<string, unknown>>;

/** The JSON object of the body; 422 as Gitea words it where it is none. */
export function fields(call: Call): Fields {
  if (call.text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(call.text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  } catch {}
  throw refuse(call, 422, "[]: Deserialization: invalid JSON");
}

export function textField(call: Call, name: string): string | undefined {
  const value = fields(call)[name];
  return typeof value === "string" ? value : undefined;
}

/** A field that must be there and not empty; 422 else. */
export function needText(call: Call, name: string): string {
  const value = textField(call, name);
  if (value === undefined || value === "") {
    throw refuse(call, 422, `[${name.charAt(0).toUpperCase()}${name.slice(1)}]: Required`);
  }
  return value;
}

/** Cuts a list to the page asked for, at most 50, and says so in headers. Page size 30 where untold. */
export function paged<T>(
  call: Call,
  all: readonly T[],
  link = true,
): { items: T[]; headers: Record<string, string> } {
  const query = call.url.searchParams;
  const page = Math.max(1, Number(query.get("page")) || 1);
  const asked = Number(query.get("limit")) || 0;
  const limit = asked <= 0 ? 30 : Math.min(asked, call.world.ways.mostItems);
  const last = Math.max(1, Math.ceil(all.length / limit));
  const headers: Record<string, string> = { "X-Total-Count": String(all.length) };
  const at = (wanted: number, rel: string) => {
    const url = new URL(call.url);
    url.searchParams.set("page", String(wanted));
    return `<${call.world.url}${url.pathname}${url.search}>; rel="${rel}"`;
  };
  const links: string[] = [];
  if (page < last) links.push(at(page + 1, "next"), at(last, "last"));
  if (page > 1) links.push(at(1, "first"), at(page - 1, "prev"));
  if (link && links.length > 0) headers.Link = links.join(",");
  return { items: all.slice((page - 1) * limit, page * limit), headers };
}
