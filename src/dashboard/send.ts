import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { Ask, DashboardDeps, Shown, Viewer } from "./deps.ts";
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
  response.statusCode = status;
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.setHeader("Vary", "Accept-Encoding");
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

/** Sends a page that tells nothing of what is here. */
export function sendBare(
  response: ServerResponse,
  { place }: Pick<Parts, "place">,
  shown: Pick<Shown, "title" | "main">,
  status: number,
): void {
  response.statusCode = status;
  response.setHeader("Content-Type", "text/html; charset=utf-8");
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
