import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CONTENT_ROUTES } from "./api-contents.ts";
import { ISSUE_ROUTES } from "./api-issues.ts";
import { PEOPLE_ROUTES } from "./api-people.ts";
import { PULL_ROUTES } from "./api-pulls.ts";
import { REPOSITORY_ROUTES } from "./api-repositories.ts";
import { SETUP_ROUTES } from "./api-setup.ts";
import type { FaultAnswer, Faults } from "./faults.ts";
import { GitHttp, isGitPath } from "./git-http.ts";
import { bare, type Call, html, json, matcher, Refusal, type Reply, type Route } from "./http.ts";
import { OAUTH_API_ROUTES } from "./oauth.ts";
import { login } from "./rights.ts";
import type { World } from "./state.ts";
import { WEB_ROUTES } from "./web.ts";

const API = "/api/v1";

const API_ROUTES = [
  ...PEOPLE_ROUTES,
  ...OAUTH_API_ROUTES,
  // Before those of one repository: `/repos/issues/search` is none.
  ...ISSUE_ROUTES,
  ...REPOSITORY_ROUTES,
  ...CONTENT_ROUTES,
  ...PULL_ROUTES,
  ...SETUP_ROUTES,
].map((route: Route) => ({ ...route, match: matcher(`${API}${route.path}`) }));

/** One request that came in; `status` is null while it is unanswered, or was cut. */
export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly at: number;
  status: number | null;
}

/** The HTTP side of the stand-in: API, pages and git on one port. */
export class ForgeServer {
  readonly requests: SeenRequest[] = [];
  readonly #world: World;
  readonly #faults: Faults;
  readonly #git = new GitHttp();
  readonly #server: Server;

  constructor(world: World, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        if (!response.headersSent) response.writeHead(500, { "Content-Type": "text/plain" });
        response.end(`the stand-in failed: ${text}\n`);
      });
    });
  }

  /** Listens on a free port of 127.0.0.1, or on `port`, and answers the URL without a slash at its end. */
  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#git.stop();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? "GET";
    const path = request.url ?? "/";
    const seen: SeenRequest = { method, path, at: Date.now(), status: null };
    this.requests.push(seen);
    response.on("finish", () => {
      seen.status = response.statusCode;
    });
    const fault = this.#faults.take(method, path);
    if (fault !== null && typeof fault === "object" && "delayMs" in fault) await pause(fault.delayMs);
    const url = new URL(path, this.#world.url);
    if (isGitPath(url.pathname)) {
      if (fault && isInstead(fault)) return send(response, { request, reply: bare(500), fault });
      return this.#git.serve(this.#world, { request, response, url });
    }
    response.setHeader("Date", new Date(this.#world.now()).toUTCString());
    const text = await bodyOf(request);
    if (fault && isInstead(fault)) return send(response, { request, reply: bare(500), fault });
    const reply = await answer(this.#world, { method, url, headers: request.headers, text });
    send(response, { request, reply, fault });
  }
}

/** Whether the fault answers before any work is done. */
function isInstead(fault: FaultAnswer): boolean {
  if (typeof fault === "string") return fault === "reset" || fault === "hang";
  return "status" in fault && fault.afterStore !== true;
}

async function answer(world: World, got: Pick<Call, "method" | "url" | "headers" | "text">): Promise<Reply> {
  const { pathname } = got.url;
  if (pathname === "/api/healthz") return json(200, { status: "pass" });
  const routes = pathname.startsWith(`${API}/`) ? API_ROUTES : WEB_ROUTES;
  for (const route of routes) {
    if (route.method !== got.method) continue;
    const params = route.match(pathname);
    if (!params) continue;
    const call: Call = { world, ...got, params, login: login(world, got.headers.authorization) };
    try {
      return await route.handler(call);
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }
  const isOtherMethod = routes.some((route) => route.match(pathname));
  return isOtherMethod ? bare(405) : html(404, "404 page not found\n");
}

/** Writes the honest reply, or what the fault makes of it. */
function send(
  response: ServerResponse,
  what: { request: IncomingMessage; reply: Reply; fault: FaultAnswer | null },
): void {
  const { fault, reply, request } = what;
  if (fault === "hang" || fault === "hang-after-store") return;
  if (fault === "reset" || fault === "reset-after-store") {
    request.socket.resetAndDestroy();
    return;
  }
  const shown = fault !== null && typeof fault === "object" && "status" in fault ? faultReply(fault) : reply;
  const body = Buffer.from(shown.body);
  for (const [name, value] of Object.entries(shown.headers)) {
    response.setHeader(name, typeof value === "string" ? value : [...value]);
  }
  response.statusCode = shown.status;
  if (shown.status !== 204 && shown.status !== 304) response.setHeader("Content-Length", body.length);
  if (fault !== "half") {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, Math.max(1, Math.floor(body.length / 2))), () => request.socket.destroy());
}

function faultReply(fault: Extract<FaultAnswer, { status: number }>): Reply {
  const type = fault.html === undefined ? "application/json;charset=utf-8" : "text/html; charset=utf-8";
  const headers = { "Content-Type": type, ...fault.headers };
  return { status: fault.status, headers, body: fault.html ?? fault.body ?? "" };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
