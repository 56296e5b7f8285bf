import { isUtf8 } from "node:buffer";
import { Webhooks } from "@octokit/webhooks";
import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from "express";
import { matches } from "../commands/rights.ts";
import { explain } from "../errors.ts";
import { issueHash, sha256 } from "../hash.ts";
import type { Log } from "../log.ts";
import { count, took } from "../meter.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Queue } from "../queue/queue.ts";
import type { Db } from "../store/db.ts";
import { type Allowance, type BodyBudget, createBodyBudget } from "./body-budget.ts";
import type { Event } from "./event.ts";
import { namedRepositoryOf, repositoryNameOf, senderOf } from "./parse.ts";
import { readBody, refuseBody } from "./read-body.ts";
import { route } from "./route.ts";
import { checkSignature } from "./signature.ts";
import { sparing } from "./sparing.ts";
import { threadTick } from "./thread.ts";
import type { Unlooked } from "./unlooked.ts";

export const MOST_BODY_BYTES = 5 * 1024 * 1024;

export interface ReceiverDeps {
  /** Each verifies deliveries of the repositories that its pattern matches, and no others. */
  readonly secrets: readonly { readonly pattern: string; readonly secret: string }[];
  readonly db: Db;
  readonly queue: Queue;
  readonly log: Log;
  isServed(fullName: string): boolean;
  holdsCommand(text: string): boolean;
  /** Whether something may follow from a comment there that holds no command. */
  isOfInterest(thread: { readonly repository: RepositoryRef; readonly number: number }): boolean;
  /** Told of comments from which nothing follows. */
  readonly unlooked: Pick<Unlooked, "note">;
  /** A repository was named together with its id. */
  told?(id: number, fullName: string): void;
  /** The bot's user id, null while the forge has not told it. */
  botId(): number | null;
  /** Of all bodies together. */
  readonly budget?: BodyBudget;
  /** Told of each signed delivery of a repository that is served, whatever is in it. */
  heard(fullName: string): void;
}

/**
 * `POST /webhooks/gitea`: verifies the raw bytes, and writes down where to look before it answers 202. 401
 * without a valid `X-Hub-Signature-256`, 415 for another content type, 413 over 5 MiB, 503 with
 * `Retry-After` where too much is read at once, 400 for broken JSON; unknown events and repositories that are
 * not served are 202 and leave nothing behind.
 */
export function createReceiver(deps: ReceiverDeps): Router {
  const router = Router();
  const verifiers = deps.secrets.map(({ pattern, secret }) => ({
    pattern,
    webhooks: new Webhooks({ secret }),
  }));
  const budget = deps.budget ?? createBodyBudget();
  const sayUnsigned = sparing<string>((why, others) =>
    deps.log.warn({ why, others }, "delivery refused: it is not signed as the forge would sign it"),
  );
  const sayNoRoom = sparing<void>((_, others) =>
    deps.log.warn({ others }, "delivery refused: too much is being delivered at once"),
  );
  router.post("/webhooks/gitea", onlyJson, (request, response, next) => {
    const allowance = budget.open();
    measure(request, response);
    receive(request, response, { ...deps, verifiers, allowance, sayUnsigned, sayNoRoom })
      .catch(next)
      .finally(() => allowance.close());
  });
  router.use("/webhooks/gitea", problems(deps.log));
  return router;
}

/** Events that forges send; anybody can write others into a header. */
const EVENTS = new Set(["push", "create", "delete", "issues", "issue_comment", "pull_request"]);

/** Tells how each delivery was answered. */
function measure(request: Request, response: Response): void {
  const from = performance.now();
  response.once("finish", () => {
    took("delivery_duration_seconds", (performance.now() - from) / 1000);
    const event = request.get("x-gitea-event") ?? "";
    const status = response.statusCode;
    const result: unknown = response.locals.result;
    count("deliveries_total", {
      event: EVENTS.has(event) ? event : "other",
      result: typeof result === "string" ? result : (RESULTS[status] ?? "failed"),
    });
  });
}

const RESULTS: Readonly<Record<number, string>> = {
  ...{ 202: "accepted", 400: "bad_request", 401: "bad_signature", 413: "too_large", 503: "no_room" },
};

const onlyJson: RequestHandler = (request, response, next) => {
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity") return void answer(response, 415, "the body must not be compressed");
  if (type === "application/json") return next();
  return void answer(
    response,
    415,
    "content type must be application/json: set the hook's content type to JSON",
  );
};

type Verifier = { readonly pattern: string; readonly webhooks: Webhooks };

interface Receiving extends ReceiverDeps {
  readonly verifiers: readonly Verifier[];
  readonly allowance: Allowance;
  sayUnsigned(why: string): void;
  sayNoRoom(): void;
}

async function receive(request: Request, response: Response, deps: Receiving): Promise<void> {
  const header = request.get("x-hub-signature-256") ?? "";
  const signature = checkSignature(
    header,
    deps.secrets.map((one) => one.secret),
  );
  // Whoever could not sign anything is not listened to.
  if (signature === null) {
    deps.sayUnsigned("it bears no signature");
    return refuseBody(request, response, { status: 401, message: NOT_SIGNED });
  }
  const { allowance } = deps;
  const read = await readBody(request, { maxBytes: MOST_BODY_BYTES, allowance, hear: signature.update });
  if (read.kind === "cut") return answer(response, 400, "the body did not arrive whole");
  if (read.kind === "too-large")
    return refuseBody(request, response, { status: 413, message: "the body is larger than 5 MiB" });
  if (read.kind === "no-room") {
    deps.sayNoRoom();
    response.set("Retry-After", String(RETRY_AFTER_S));
    return refuseBody(request, response, { status: 503, message: "too much is being delivered: try again" });
  }
  if (!signature.isSigned()) {
    deps.sayUnsigned("its signature was made with another secret than forge.webhook_secret(s)");
    return answer(response, 401, NOT_SIGNED);
  }
  if (!isUtf8(read.bytes)) return answer(response, 400, "the body is not UTF-8");
  const body = read.bytes.toString("utf8");
  // Unsigned bodies are gone by now: the library has the last word, and says whose secret it was.
  const signers = await signersOf(body, header, deps.verifiers);
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return answer(response, 400, "the body is not JSON");
  }
  const from = repositoryNameOf(payload);
  if (from !== null && !signers.some((pattern) => pattern === "*" || matches(pattern, from))) {
    deps.sayUnsigned("it was signed with the secret of other repositories than it is about");
    return answer(response, 401, "that secret signs for other repositories (forge.webhook_secrets)");
  }
  if (from !== null && deps.isServed(from)) deps.heard(from);
  const named = namedRepositoryOf(payload);
  if (named !== null) deps.told?.(named.id, named.fullName);
  const type = request.get("x-gitea-event-type") ?? "";
  const event = keepOnlyOurs(route(type, payload), deps);
  if (event.kind === "ignored") {
    // Each edit of a card comes back as a delivery: that is no news.
    const sender = senderOf(payload);
    const isEcho = sender !== null && sender === deps.botId();
    deps.log[isEcho ? "debug" : "info"](
      { type, delivery: request.get("x-gitea-delivery") ?? "", reason: event.reason },
      "delivery ignored",
    );
    response.locals.result = from !== null && !deps.isServed(from) ? "unserved" : "ignored";
    response.status(202).json({ ignored: event.reason });
    return;
  }
  if (event.kind === "comment-created" && !isToBeLookedAt(event, deps)) {
    const { thread } = event;
    deps.unlooked.note(thread, deliveredText(event, deps));
    const where = `${thread.repository.fullName}#${thread.number}`;
    deps.log.debug({ thread: where }, "nothing follows from a comment without a command");
    response.status(202).json({ ignored: "it holds no command, and no cell lives there" });
    return;
  }
  await deps.db.commitTogether(() => deps.queue.put(threadTick(event.thread, deliveredText(event, deps))));
  response.status(202).json({ accepted: true });
}

const RETRY_AFTER_S = 10;
const NOT_SIGNED =
  "X-Hub-Signature-256 is missing or wrong: does the hook have the secret of forge.webhook_secret(s)?";

/** The patterns whose secret made the signature. */
async function signersOf(body: string, signature: string, verifiers: readonly Verifier[]): Promise<string[]> {
  const signers: string[] = [];
  for (const { pattern, webhooks } of verifiers)
    if (await webhooks.verify(body, signature)) signers.push(pattern);
  return signers;
}

function keepOnlyOurs(event: Event, deps: ReceiverDeps): Event {
  if (event.kind === "ignored") return event;
  if (!deps.isServed(event.thread.repository.fullName)) {
    return {
      kind: "ignored",
      reason: `${event.thread.repository.fullName} is not served (forge.repositories)`,
    };
  }
  return event.thread.senderId === deps.botId()
    ? { kind: "ignored", reason: "it is the bot's own doing" }
    : event;
}

/** Somebody who mentions the bot and types no command is told how; a cell's thread is always looked at. */
function isToBeLookedAt(event: Extract<Event, { kind: "comment-created" }>, deps: ReceiverDeps): boolean {
  const { comment, thread } = event;
  return comment.body.includes("@") || deps.holdsCommand(comment.body) || deps.isOfInterest(thread);
}

/** What a new comment said when it was made: hashes only, payloads are not stored. */
function deliveredText(event: Exclude<Event, { kind: "ignored" }>, deps: ReceiverDeps) {
  if (event.kind !== "comment-created") return {};
  const { comment, issue } = event;
  return {
    [String(comment.id)]: {
      body: sha256(comment.body),
      hadCommand: deps.holdsCommand(comment.body),
      issue: issueHash(issue.title, issue.body),
    },
  };
}

function problems(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    log.error({ why: explain(error) }, "delivery could not be stored");
    return void answer(response, 500, "the delivery could not be stored");
  };
}

function answer(response: Response, status: number, message: string): void {
  response.status(status).json({ error: message });
}
