import type { ServerResponse } from "node:http";
import express, { type Request, type RequestHandler, type Response } from "express";
import { explain } from "../errors.ts";
import { readCookie } from "./cookies.ts";
import { sendAudit } from "./csv.ts";
import type { Ask, DashboardDeps, Shown, Viewer } from "./deps.ts";
import { sendArtifact, sendLog } from "./downloads.ts";
import { fieldsOf, takeForm } from "./forms.ts";
import { createHeaders, refusalOf } from "./guards.ts";
import { html } from "./html.ts";
import { keepLive } from "./live-page.ts";
import { addressOf, createPace } from "./pace.ts";
import { document } from "./pages/layout.ts";
import { type Door, signIn } from "./pages/sign-in.ts";
import { type Place, pathBack, placeOf } from "./place.ts";
import { pageAt, paramsOf } from "./routes.ts";
import {
  askOf,
  type Came,
  type Parts,
  pathOf,
  send,
  sendBare,
  sendData,
  sendOn,
  sendStatus,
  takesGzip,
  wantsJson,
} from "./send.ts";
import { createSessions } from "./sessions.ts";
import { createSights } from "./sight.ts";
import { callback, type Entered, once, start } from "./sign-in-routes.ts";
import { FILES } from "./static-files.ts";
import { createStreams } from "./stream.ts";

export interface Dashboard {
  readonly handler: RequestHandler;
  /** Ends open streams, which would keep the server from closing. */
  close(): void;
}

/** Behind a proxy all people come from one address. */
const LOGINS_A_MINUTE = 30;
const LINKS_A_MINUTE = 10;
const POSTS_A_MINUTE = 30;
const MOST_BODY = "64kb";
/** What a path is read against; it is never used. */
const ANY = "http://any.invalid";

/** Every page, stream and form: nothing is told to anybody who is not signed in, on this machine neither. */
export function createDashboard(d: DashboardDeps): Dashboard {
  const place = placeOf(d.url);
  const parts: Parts = {
    ...{ d, place, sessions: createSessions(d.db, d.clock), sights: createSights(d) },
    streams: createStreams(d),
  };
  const headers = createHeaders(place);
  const form = express.urlencoded({ extended: false, limit: MOST_BODY, parameterLimit: 50 });
  const often = (response: ServerResponse) =>
    sendBare(response, parts, signIn(place, d, { why: "often", to: "/" }), response.statusCode);
  const loginPace = createPace({ most: LOGINS_A_MINUTE, by: addressOf, say: often });
  const linkPace = createPace({ most: LINKS_A_MINUTE, by: addressOf, say: often });
  const postPace = createPace({
    most: POSTS_A_MINUTE,
    by: (request) => readCookie(request, "session", place) ?? addressOf(request),
    say: often,
  });
  const handler: RequestHandler = (request, response, next) => {
    if (!URL.canParse(request.originalUrl, ANY)) return next();
    const url = new URL(request.originalUrl, ANY);
    const path = withoutBase(url.pathname, place);
    const isKnown = FILES.has(path) || isRoute(path) || pageAt(path) !== null;
    if (!isKnown) return next();
    headers(request, response, (error?: unknown) => {
      if (error !== undefined) return next(error);
      response.set("Cache-Control", "no-store");
      const refusal = refusalOf(request, place);
      if (refusal !== null) {
        if (refusal.status === 403) noteForgery(request, path, parts);
        return sendBare(
          response,
          parts,
          { title: "Not here", main: html`<h1>Not here</h1><p>${refusal.why}</p>` },
          refusal.status,
        );
      }
      const work = () =>
        void answer(request, response, { path, query: url.searchParams }, parts).catch((cause: unknown) =>
          fail(response, cause, parts),
        );
      const paced = (pace: RequestHandler, then: () => void) =>
        void pace(request, response, (cause?: unknown) => (cause === undefined ? then() : next(cause)));
      if (request.method === "POST")
        return paced(postPace, () =>
          form(request, response, (cause?: unknown) =>
            cause === undefined ? work() : tooLarge(response, parts),
          ),
        );
      if (path === "/login/start") return paced(loginPace, work);
      if (path === "/login/once") return paced(linkPace, work);
      work();
    });
  };
  return { handler, close: () => parts.streams.close() };
}

const ROUTES = [
  "/login",
  "/login/start",
  "/login/callback",
  "/login/once",
  "/logout",
  "/events",
  "/audit.csv",
  "/me/end",
  "/cells/:id/runs/:n/log.txt",
  "/cells/:id/artifacts/*",
];

function isRoute(path: string): boolean {
  return ROUTES.some((pattern) => paramsOf(pattern, path) !== null);
}

function withoutBase(path: string, { base }: Place): string {
  if (base === "" || !(path === base || path.startsWith(`${base}/`))) return path;
  return path.slice(base.length) || "/";
}

async function answer(request: Request, response: Response, came: Came, parts: Parts): Promise<void> {
  const { d, place, sessions } = parts;
  const { path, query } = came;
  const file = FILES.get(path);
  if (file !== undefined) {
    response.set({
      "Content-Type": file.type,
      "Cache-Control": "public, max-age=31536000, immutable",
      Vary: "Accept-Encoding",
    });
    const isSmall = takesGzip(request);
    if (isSmall) response.set("Content-Encoding", "gzip");
    return void response.end(isSmall ? file.gzip : file.bytes);
  }
  if (path === "/login/start") return enter(response, await start(query, parts), parts);
  if (path === "/login/callback") return enter(response, await callback(request, query, parts), parts);
  if (path === "/login/once") return enter(response, once(query, parts), parts);
  const secret = readCookie(request, "session", place);
  const session = secret === null ? null : sessions.find(secret);
  if (session === null) {
    const isOver = secret !== null;
    if (path === "/events") return sendStatus(response, 401);
    const why: Door = request.method === "POST" || isOver ? "over" : "in";
    const to = path === "/login" ? pathBack(query.get("to")) : pathBack(pathOf(came));
    return sendBare(
      response,
      parts,
      signIn(place, d, { why: path === "/login" ? "in" : why, to }),
      path === "/login" ? 200 : 401,
    );
  }
  if (path === "/login") return sendOn(response, place.link("/"));
  const person = { id: session.userId, login: session.login };
  const viewer: Viewer = { session, person, isOperator: await parts.sights.isOperator(person) };
  if (request.method === "POST") {
    const fields = fieldsOf(request.body);
    return takeForm({ request, response, fields }, came, viewer, parts);
  }
  if (path === "/events") return keepLive(response, query.get("on") ?? "/", viewer, parts);
  if (path === "/audit.csv") return sendAudit(response, await askOf(came, viewer, parts, {}));
  const log = paramsOf("/cells/:id/runs/:n/log.txt", path);
  if (log !== null) {
    const look = await askOf(came, viewer, parts, log);
    return show(request, response, await sendLog(look, response), look);
  }
  const artifact = paramsOf("/cells/:id/artifacts/*", path);
  if (artifact !== null) {
    const look = await askOf(came, viewer, parts, artifact);
    return show(request, response, await sendArtifact(look, response), look);
  }
  const found = pageAt(path);
  if (found === null) return sendOn(response, place.link("/"));
  const look = await askOf(came, viewer, parts, found.params);
  return show(request, response, await found.page(look), look);
}

/** Null: it was sent already. */
function show(request: Request, response: Response, shown: Shown | null, look: Ask): void {
  if (shown === null) return;
  if (wantsJson(request)) sendData(response, shown, look.d.redact);
  else send(request, response, document(look, shown), shown.status ?? 200);
}

function enter(response: Response, entered: Entered, parts: Parts): void {
  if ("door" in entered) {
    const { door: why, to } = entered;
    sendBare(response, parts, signIn(parts.place, parts.d, { why, to }), 403);
  } else sendOn(response, entered.to, entered.cookies);
}

function noteForgery(request: Request, path: string, { d }: Parts): void {
  d.log.warn(
    { path, origin: request.get("origin") ?? null, site: request.get("sec-fetch-site") ?? null },
    "a form of another site was refused",
  );
}

function tooLarge(response: Response, parts: Parts): void {
  sendBare(
    response,
    parts,
    {
      title: "Too large",
      main: html`<h1>Too large</h1><p>That form holds more than 64 KB, or is none. Nothing was done.</p>`,
    },
    413,
  );
}

function fail(response: Response, error: unknown, parts: Parts): void {
  parts.d.log.error({ why: parts.d.redact(explain(error)) }, "a page could not be made");
  if (response.headersSent) return void response.destroy();
  sendBare(
    response,
    parts,
    {
      title: "Something went wrong",
      main: html`<h1>Something went wrong</h1><p>The page could not be made. The log of <code>serve</code> says why. Nothing you did is lost.</p>`,
    },
    500,
  );
}
