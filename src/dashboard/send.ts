import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { withoutSecrets } from "./data.ts";
import type { Ask, DashboardDeps, Shown, Viewer } from "./deps.ts";
import type { Html } from "./html.ts";
import { bare } from "./pages/layout.ts";
import type { Place } from "./place.ts";
import type { Sessions } from "./sessions.ts";
import type { Sights } from "./sight.ts";
import type { Streams } from "./stream.ts";

/** What the dashboard is made of. */
export interface Parts {
  readonly d: DashboardDeps;
  readonly place: Place;
  readonly sessions: Sessions;
  readonly sights: Sights;
  readonly streams: Streams;
}

/** What is asked for, below `server.url`. */
export interface Came {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** The path with its query, as one comes back to it. */
export function pathOf({ path, query }: Came): string {
  return query.size === 0 ? path : `${path}?${query}`;
}

/** What a page is asked with. */
export async function askOf(
  came: Came,
  viewer: Viewer,
  { d, place, sessions, sights }: Parts,
  params: Record<string, string>,
): Promise<Ask> {
  return {
    d,
    place,
    sessions,
    viewer,
    params,
    query: came.query,
    path: pathOf(came),
    sight: await sights.of(viewer),
  };
}

const LEAST_GZIPPED = 1_000;

/** Sends a page, small where the browser takes that. */
export function send(request: IncomingMessage, response: ServerResponse, text: string, status: number): void {
  sendText(request, response, text, { status, type: HTML });
}

const HTML = "text/html; charset=utf-8";

function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  text: string,
  { status, type }: { readonly status: number; readonly type: string },
): void {
  response.statusCode = status;
  response.setHeader("Content-Type", type);
  response.setHeader("Vary", "Accept, Accept-Encoding");
  if (text.length < LEAST_GZIPPED || !takesGzip(request)) {
    response.end(text);
    return;
  }
  response.setHeader("Content-Encoding", "gzip");
  response.end(gzipSync(text));
}

/** Whether a browser takes what is packed. */
export function takesGzip({ headers }: IncomingMessage): boolean {
  return /\bgzip\b/.test(String(headers["accept-encoding"] ?? ""));
}

/** Whether a program asks: it wants JSON, and says nothing of pages. */
export function wantsJson({ headers }: IncomingMessage): boolean {
  const accepted = headers.accept ?? "";
  return /\bapplication\/json\b/i.test(accepted) && !/\btext\/html\b/i.test(accepted);
}

/** Sends what a page tells programs, secrets hidden; where it tells none, why. */
export function sendData(
  response: ServerResponse,
  shown: Pick<Shown, "status" | "main" | "data">,
  redact: (text: string) => string,
): void {
  const { status = 200, main, data } = shown;
  if (status >= 400) sendJson(response, status, { error: firstWords(main) });
  else if (data === undefined) sendJson(response, 406, { error: "There is a page here, and no data." });
  else sendJson(response, status, withoutSecrets(data(), redact));
}

function sendJson(response: ServerResponse, status: number, told: unknown): void {
  sendText(response.req, response, `${JSON.stringify(told)}\n`, {
    status,
    type: "application/json; charset=utf-8",
  });
}

/** The first paragraph of a page, as text. */
function firstWords(main: Html): string {
  const [, first = ""] = /<p\b(?! class="crumb")[^>]*>([\s\S]*?)<\/p>/.exec(main.toString()) ?? [];
  const text = first.replace(/<[^>]*>/g, "");
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => NAMED[name] ?? "");
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

/** Sends a page that tells nothing of what is here. */
export function sendBare(
  response: ServerResponse,
  { place }: Pick<Parts, "place">,
  shown: Pick<Shown, "title" | "main">,
  status: number,
): void {
  if (wantsJson(response.req)) {
    const told = firstWords(shown.main);
    sendJson(response, status, status < 400 ? { said: told } : { error: told });
    return;
  }
  response.statusCode = status;
  response.setHeader("Content-Type", HTML);
  response.end(bare(place, shown));
}

/** Sends a browser on, with GET. */
export function sendOn(response: ServerResponse, to: string, cookies: readonly string[] = []): void {
  if (cookies.length > 0) response.setHeader("Set-Cookie", [...cookies]);
  response.writeHead(303, { Location: to });
  response.end();
}

/** Answers a program: a number and a line. */
export function sendStatus(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...headers });
  response.end(`${status}\n`);
}
