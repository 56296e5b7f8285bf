import { type Request, type Response, Router } from "express";
import type { App } from "../app.ts";
import { secretsGiven } from "../cells/given-secrets.ts";
import { explain } from "../errors.ts";
import { isMark, markOf } from "../transport/keys.ts";

/** A request is as good as new for so long. */
const FRESH_MS = 60_000;
const MOST_BYTES = 1024 * 1024;
const PURPOSE = "log of a cell on a runner";
const LOG = /^[\w.-]{1,200}\.log$/;

/** What a request for a log bears: only who reads the data directory can make it, and only for this path. */
export function logPass(master: Uint8Array, path: string, now: number): string {
  return `Lazarus ${now}.${markOf(master, PURPOSE, `${now} ${path}`)}`;
}

function isPass(
  given: string,
  at: { readonly master: Uint8Array; readonly path: string; now: number },
): boolean {
  const ms = Number(/^Lazarus (\d{1,16})\./.exec(given)?.[1]);
  return Math.abs(at.now - ms) < FRESH_MS && isMark(given, logPass(at.master, at.path, ms));
}

/** Where the log of a cell on a runner is asked for. */
export function logPath(cellId: string, log: string): string {
  return `/cells/${cellId}/logs/${log}`;
}

/**
 * `GET /cells/:id/logs/:log?bytes=N` for the command line of the operator: the end of a log that lies on a
 * runner of another host, as `{text, cut}`, secrets hidden there. 401 without a pass of `logPass`; 404 where
 * no runner has the cell; 503 with `error` where its runner cannot be asked now.
 */
export function createFarLogs(app: App, gate: NonNullable<App["gate"]>): Router {
  const router = Router();
  router.get("/cells/:id/logs/:log", (request, response, next) => {
    answer(request, response, { app, gate }).catch(next);
  });
  return router;
}

async function answer(
  request: Request,
  response: Response,
  { app, gate }: { readonly app: App; readonly gate: NonNullable<App["gate"]> },
): Promise<void> {
  const now = app.deps.clock.now();
  const given = request.get("authorization") ?? "";
  if (!isPass(given, { master: gate.master, path: request.path, now })) {
    response.set("WWW-Authenticate", "Lazarus");
    return void response.status(401).json({ error: "the pass is missing, wrong or too old" });
  }
  const log = String(request.params.log);
  const cell = app.registry.cell(String(request.params.id));
  const port = cell === null ? undefined : gate.ports.get(cell.runner);
  if (cell === null || port === undefined || !LOG.test(log))
    return void response.status(404).json({ error: "no runner has that log" });
  const bytes = Number(request.query.bytes);
  const maxBytes = Number.isInteger(bytes) && bytes > 0 ? Math.min(bytes, MOST_BYTES) : MOST_BYTES;
  const secrets = secretsGiven(app.registry.runs(cell.id), app.config);
  try {
    response.json(await port.readLog(cell.id, log, { maxBytes, secrets }));
  } catch (error) {
    response.status(503).json({ error: app.heartbeats.redact(explain(error)) });
  }
}
