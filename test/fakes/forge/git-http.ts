import { type ChildProcess, spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { branches, gitEnvironment } from "./git.ts";
import { afterPush, branchMoves } from "./pushes.ts";
import { covers, login, permissionOf } from "./rights.ts";
import type { Repository, User, World } from "./state.ts";

const SERVICE = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;

const ARCHIVED =
  "This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.";

export interface GitRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
}

interface Service {
  readonly world: World;
  readonly at: GitRequest;
  readonly repo: Repository;
  readonly user: User | null;
  /** The part after the repository: `info/refs`, `git-upload-pack` or `git-receive-pack`. */
  readonly tail: string;
}

/** Whether a path belongs to git's smart HTTP protocol. */
export function isGitPath(pathname: string): boolean {
  return SERVICE.test(pathname);
}

/** Git over HTTP: `git http-backend` behind Gitea's logins, rights and refusals. */
export class GitHttp {
  readonly #children = new Set<ChildProcess>();

  /** Answers one request of git; every refusal stands in the response. */
  async serve(world: World, at: GitRequest): Promise<void> {
    const [, owner = "", name = "", tail = ""] = SERVICE.exec(at.url.pathname) ?? [];
    const isPush = tail === "git-receive-pack" || at.url.searchParams.get("service") === "git-receive-pack";
    const who = login(world, at.request.headers.authorization);
    const user = who.kind === "user" ? who.user : null;
    const repo = world.repositoryByName(owner, name);
    const renamed = repo ? null : world.repositoryByFormerName(owner, name);
    if (renamed) return redirect(world, at, { renamed, tail });
    const permission = repo ? permissionOf(world, repo, user) : "none";
    if (who.kind === "bad" || (!user && (isPush || permission === "none"))) return challenge(at.response);
    if (!repo || permission === "none") return refuse(at.response, 404, "Repository not found");
    if (isPush && repo.isArchived) return refuse(at.response, 403, ARCHIVED);
    const service: Service = { world, at, repo, user, tail };
    if (tail === "git-receive-pack" && user) return this.#receive(service, user);
    await this.#backend(service, { buffered: false });
  }

  /** Kills what is still running. */
  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  /**
   * The answer waits until pull requests follow and events are queued, so that whoever pushed sees it done.
   */
  #receive(service: Service, by: User): Promise<void> {
    const { world, repo } = service;
    return world.exclusive(repo, async () => {
      const before = await branches(repo.dir);
      const send = await this.#backend(service, { buffered: true });
      const moves = branchMoves(before, await branches(repo.dir));
      await afterPush(world, repo, { by, moves });
      send();
    });
  }

  /** Runs the CGI program; buffered, it answers a function that sends what came out. */
  #backend(service: Service, how: { buffered: boolean }): Promise<() => void> {
    const { request, response } = service.at;
    const child = spawn("git", ["http-backend"], {
      env: cgiEnvironment(service),
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#children.add(child);
    request.pipe(child.stdin);
    child.stdin.on("error", () => request.resume());
    request.on("aborted", () => child.stdin.destroy());
    let head: Buffer | null = Buffer.alloc(0);
    const kept: Buffer[] = [];
    const write = (part: Buffer) => {
      if (how.buffered) kept.push(part);
      else response.write(part);
    };
    child.stdout.on("data", (part: Buffer) => {
      if (head === null) {
        write(part);
        return;
      }
      head = Buffer.concat([head, part]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      writeHead(response, head.subarray(0, end).toString("latin1"));
      const rest = head.subarray(end + 4);
      head = null;
      if (rest.length > 0) write(rest);
    });
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", () => {
        this.#children.delete(child);
        const send = () => {
          if (head !== null && !response.headersSent) response.statusCode = 500;
          response.end(Buffer.concat(kept));
        };
        if (!how.buffered) send();
        resolve(send);
      });
    });
  }
}

function writeHead(response: ServerResponse, head: string): void {
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (name.toLowerCase() === "status") response.statusCode = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
}

function cgiEnvironment(service: Service): Record<string, string> {
  const { world, repo, user, tail } = service;
  const { headers, method } = service.at.request;
  const text = (value: string | string[] | undefined) => (typeof value === "string" ? value : "");
  const mayWrite = covers(permissionOf(world, repo, user), "write");
  const environment: Record<string, string> = {
    ...gitEnvironment(),
    GIT_PROJECT_ROOT: repo.dir,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: `/${tail}`,
    REQUEST_METHOD: method ?? "GET",
    QUERY_STRING: service.at.url.search.slice(1),
    CONTENT_TYPE: text(headers["content-type"]),
    HTTP_CONTENT_ENCODING: text(headers["content-encoding"]),
    GIT_PROTOCOL: text(headers["git-protocol"]),
    REMOTE_ADDR: "127.0.0.1",
    STAND_IN_MAY_WRITE: mayWrite ? "1" : "0",
    STAND_IN_REFUSAL: world.ways.refusal,
    STAND_IN_DEFAULT: repo.defaultBranch,
    STAND_IN_PROTECTED: repo.protectedBranches.join("\n"),
  };
  // Without a length (chunked uploads) http-backend reads to the end; an empty one would mean zero bytes.
  if (headers["content-length"] !== undefined) environment.CONTENT_LENGTH = headers["content-length"];
  if (user) environment.REMOTE_USER = user.login;
  return environment;
}

function redirect(world: World, at: GitRequest, to: { renamed: Repository; tail: string }): void {
  const location = `${world.url}/${world.fullName(to.renamed)}.git/${to.tail}${at.url.search}`;
  at.request.resume();
  at.response.writeHead(world.ways.renamed, { Location: location }).end();
}

function challenge(response: ServerResponse): void {
  response.writeHead(401, { "WWW-Authenticate": 'Basic realm="Gitea"' }).end();
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
