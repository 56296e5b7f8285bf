import type { RequestListener } from "node:http";
import express, { type Request, type Response, Router } from "express";
import type { App } from "../app.ts";
import type { Clock } from "../clock.ts";
import { BEAT_BYTES, readBeat } from "../runner/health/heartbeat.ts";
import { readBody, refuseBody } from "../webhooks/read-body.ts";

/** Of one cell; what comes sooner is refused. */
const APART_MS = 1_000;
const MOST_REMEMBERED = 1_000;

type Heartbeats = Pick<App["heartbeats"], "isToken" | "hear" | "redact">;

/**
 * `POST /cells/:id/heartbeat` with `Authorization: Bearer <token>` and `{state, message?, progress?}`. 202
 * when taken; 401, the same one, for a wrong token and for a cell that is not there; 429 with `Retry-After`
 * for more than one a second; 413 over 4 KB; 400 for what is no heartbeat; 409 where no run of the cell is at
 * work.
 */
export function createHeartbeatRoute(heartbeats: Heartbeats, clock: Pick<Clock, "monotonic">): Router {
  const router = Router();
  const paces = createPaces(clock);
  router.post("/cells/:id/heartbeat", (request, response, next) => {
    take(request, response, { heartbeats, paces }).catch(next);
  });
  return router;
}

/** The same as all that a server answers: for a runner, which has no other. */
export function heartbeatServer(heartbeats: Heartbeats, clock: Pick<Clock, "monotonic">): RequestListener {
  const web = express();
  web.disable("x-powered-by");
  web.use(createHeartbeatRoute(heartbeats, clock));
  web.use((_request, response) => void response.status(404).json({ error: "there is nothing here" }));
  return web;
}

async function take(
  request: Request,
  response: Response,
  { heartbeats, paces }: { readonly heartbeats: Heartbeats; readonly paces: Paces },
): Promise<void> {
  const cellId = String(request.params.id);
  const token = /^Bearer +(\S+) *$/i.exec(request.get("authorization") ?? "")?.[1] ?? "";
  // Nothing but the token is looked at first: what is not there answers as what one may not speak for.
  if (!heartbeats.isToken(cellId, token)) {
    response.set({ "WWW-Authenticate": "Bearer", Connection: "close" });
    return answer(response, 401, "the token is missing or wrong");
  }
  const waitMs = paces.waitOf(cellId);
  if (waitMs > 0) {
    response.set({ "Retry-After": String(Math.ceil(waitMs / 1_000)), Connection: "close" });
    return answer(response, 429, "one heartbeat a second is enough");
  }
  const body = await readBody(request, { maxBytes: BEAT_BYTES });
  if (body.kind === "cut") return answer(response, 400, "the body did not arrive whole");
  if (body.kind !== "bytes")
    return refuseBody(request, response, { status: 413, message: "the body is larger than 4 KB" });
  const words = readBeat(body.bytes.toString("utf8"), heartbeats.redact);
  if (words === null)
    return answer(
      response,
      400,
      'the body is not {"state": "…", "message": "…", "progress": 0 to 1} in JSON; only state must be there',
    );
  if (!(await heartbeats.hear(cellId, words))) return answer(response, 409, "no run of this cell is at work");
  response.status(202).json({ ok: true });
}

function answer(response: Response, status: number, error: string): void {
  response.status(status).json({ error });
}

interface Paces {
  /** How long a cell has to wait until it is heard again, in ms; 0: it is heard now. */
  waitOf(cellId: string): number;
}

/** Only who has a cell's token gets here, so nobody can use up another's turn. */
function createPaces(clock: Pick<Clock, "monotonic">): Paces {
  const heardAt = new Map<string, number>();
  return {
    waitOf(cellId) {
      const now = clock.monotonic();
      const waitMs = (heardAt.get(cellId) ?? Number.NEGATIVE_INFINITY) + APART_MS - now;
      if (waitMs > 0) return waitMs;
      if (heardAt.size >= MOST_REMEMBERED) {
        for (const [id, at] of heardAt) if (at + APART_MS <= now) heardAt.delete(id);
      }
      heardAt.set(cellId, now);
      return 0;
    },
  };
}
