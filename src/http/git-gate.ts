import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Request, type Response, Router } from "express";
import { explain } from "../errors.ts";
import type { Streams } from "../gitea/http.ts";
import type { Log } from "../log.ts";
import { type PassRights, readPass, readPushCommands, whyNotPush } from "../transport/git-pass.ts";

export interface GitGateDeps {
  /** Address of the forge, without a slash at its end. */
  readonly forgeUrl: string;
  readonly token: string;
  readonly master: Uint8Array;
  readonly streams: Streams;
  readonly log: Pick<Log, "info" | "warn">;
  now(): number;
  /** Whether the runner has that job in hand. */
  holds(pass: PassRights): boolean;
}

const SERVICES = ["git-upload-pack", "git-receive-pack"] as const;
/** A pack is made and taken in silence. */
const SILENT_MS = 10 * 60_000;
const PASSED_ON = [
  "content-type",
  "content-encoding",
  "accept",
  "accept-encoding",
  "git-protocol",
  "content-length",
];
const ANSWERED = ["content-type", "content-encoding", "cache-control", "content-length", "expires", "pragma"];

/**
 * `/git/<owner>/<name>.git/{info/refs,git-upload-pack,git-receive-pack}` for runners, which have no token
 * of the forge: the password of Basic authentication is a pass. 401: it is none. 403: it is not for this.
 * 503: it has run out, and its job is sent another. Follows no redirect; nothing else is here.
 */
export function createGitGate(deps: GitGateDeps): Router {
  const router = Router();
  router.all(/^\/git\//, (request, response, next) => {
    serve(request, response, deps).catch((error: unknown) => {
      deps.log.warn({ why: explain(error) }, "the git gate could not pass something on");
      if (response.headersSent) response.destroy();
      else refuse(response, 502, "the forge could not be reached");
      void next;
    });
  });
  return router;
}

const PATH = /^\/git\/([\w.-]+\/[\w.-]+)\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/;

async function serve(request: Request, response: Response, deps: GitGateDeps): Promise<void> {
  request.socket.setTimeout(SILENT_MS);
  const [, repository = "", place = ""] = PATH.exec(request.path) ?? [];
  const isAsking = place === "info/refs";
  const service = SERVICES.find((one) => one === (isAsking ? request.query.service : place));
  if (service === undefined || request.method !== (isAsking ? "GET" : "POST"))
    return refuse(response, 404, "there is nothing here");
  const pass = readPass(deps.master, passwordOf(request));
  if (pass === null) {
    response.set("WWW-Authenticate", "Basic");
    return refuse(response, 401, "this is no pass");
  }
  if (pass.repository.toLowerCase() !== repository.toLowerCase())
    return refuse(response, 403, `this pass is for ${pass.repository}`);
  if (pass.until <= deps.now() || !deps.holds(pass))
    return refuse(response, 503, "this pass has run out: its job is over, or is sent another");
  const isPush = service === "git-receive-pack";
  if (isPush && pass.use !== "push") return refuse(response, 403, "this pass only reads");
  const body = isAsking ? null : isPush ? await checkedBody(request, response, pass) : request;
  if (body === undefined) return;
  const path = repository.split("/").map(encodeURIComponent).join("/");
  const query = isAsking ? `?service=${service}` : "";
  await passOn(`${deps.forgeUrl}/${path}.git/${place}${query}`, { request, response, body, deps });
}

function passwordOf(request: Request): string {
  const basic = /^Basic +(\S+) *$/i.exec(request.get("authorization") ?? "")?.[1] ?? "";
  return Buffer.from(basic, "base64")
    .toString("utf8")
    .replace(/^[^:]*:/, "");
}

function refuse(response: Response, status: number, why: string): void {
  // What is still on its way is nobody's: a push of gigabytes is not read to its end.
  response.set("Connection", "close").status(status).type("text/plain").send(`${why}\n`);
}

/** The body of a push, once its commands are seen and allowed; undefined: it was refused. */
async function checkedBody(
  request: Request,
  response: Response,
  pass: PassRights,
): Promise<Readable | undefined> {
  if (request.get("content-encoding") !== undefined)
    return void refuse(response, 415, "a push comes as it is");
  let seen: Buffer = Buffer.alloc(0);
  const iterator = request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  for (;;) {
    const read = readPushCommands(seen);
    if (read.kind === "refused") return void refuse(response, 403, read.why);
    if (read.kind === "one") {
      const why = whyNotPush(pass, read);
      if (why !== null) return void refuse(response, 403, why);
    }
    if (read.kind !== "needs-more") break;
    const { value, done } = await iterator.next();
    if (done === true) return void refuse(response, 400, "the push did not arrive whole");
    seen = Buffer.concat([seen, value as Buffer]);
  }
  await iterator.return?.(undefined);
  const whole = new PassThrough();
  whole.write(seen);
  request.pipe(whole);
  request.on("error", (error) => whole.destroy(error));
  return whole;
}

async function passOn(
  url: string,
  at: {
    readonly request: Request;
    readonly response: Response;
    readonly body: Readable | null;
    readonly deps: GitGateDeps;
  },
): Promise<void> {
  const { request, response, body, deps } = at;
  const headers: Record<string, string> = {
    authorization: `Basic ${Buffer.from(`lazarus:${deps.token}`).toString("base64")}`,
  };
  for (const name of PASSED_ON) {
    const value = request.get(name);
    if (value !== undefined && !(name === "content-length" && body === null)) headers[name] = value;
  }
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const answer = await deps.streams(url, {
    method: request.method === "GET" ? "GET" : "POST",
    headers,
    body,
    signal: gone.signal,
  });
  response.status(answer.status);
  for (const name of ANSWERED) {
    const value = answer.headers[name];
    if (typeof value === "string") response.set(name, value);
  }
  // Git is told that it would lead elsewhere, and not where: nothing follows it.
  if (answer.status >= 300 && answer.status < 400) response.set("Location", "/git/moved");
  await pipeline(answer.body, response);
}
