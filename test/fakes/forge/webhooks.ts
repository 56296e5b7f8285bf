import { createHmac, randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Hook } from "./state.ts";

/** Gitea's `[webhook] DELIVER_TIMEOUT`: for the whole exchange. */
const DELIVER_TIMEOUT_MS = 5_000;

export interface Delivery {
  readonly uuid: string;
  readonly hookId: number;
  readonly url: string;
  /** `X-Gitea-Event`, which may be empty. */
  readonly event: string;
  /** `X-Gitea-Event-Type`, never empty. */
  readonly eventType: string;
  /** The exact text that was signed. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  state: "waiting" | "answered" | "failed";
  answer: { readonly status: number; readonly body: string } | null;
  error: string | null;
}

export interface DeliveryOptions {
  /** How long a delivery waits in the server's own queue. Real servers: about 120. */
  readonly delayMs: number;
  /** Deliveries overtake each other, as on a real server with several workers. */
  readonly shuffle: boolean;
  readonly timeoutMs?: number;
}

/** Coarse `X-Gitea-Event` of a fine `X-Gitea-Event-Type`. */
export function coarseEvent(eventType: string): string {
  if (/^(issues|issue_assign|issue_label|issue_milestone)$/.test(eventType)) return "issues";
  if (eventType === "issue_comment" || eventType === "pull_request_comment") return "issue_comment";
  if (eventType === "pull_request_review_approved") return "pull_request_approved";
  if (eventType === "pull_request_review_rejected") return "pull_request_rejected";
  if (eventType === "pull_request_review_comment") return "pull_request_comment";
  if (eventType.startsWith("pull_request")) return "pull_request";
  return eventType === "status" || eventType === "package" ? "" : eventType;
}

/** JSON as Go's `MarshalIndent` writes it: two spaces, and `<`, `>`, `&` escaped. */
export function goJson(payload: unknown): string {
  const escapes: Record<string, string> = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
  };
  return JSON.stringify(payload, null, 2).replace(/[<>&\u2028\u2029]/g, (char) => escapes[char] ?? char);
}

function headersOf(
  hook: Hook,
  delivery: { uuid: string; eventType: string; body: string },
): Record<string, string> {
  const digest = (algorithm: string) =>
    hook.secret === "" ? "" : createHmac(algorithm, hook.secret).update(delivery.body).digest("hex");
  const event = coarseEvent(delivery.eventType);
  const headers: Record<string, string> = {
    "User-Agent": "Go-http-client/1.1",
    "Content-Type": hook.contentType === "form" ? "application/x-www-form-urlencoded" : "application/json",
  };
  for (const family of ["X-GitHub", "X-Gitea", "X-Gogs"]) {
    headers[`${family}-Delivery`] = delivery.uuid;
    headers[`${family}-Event`] = event;
    headers[`${family}-Event-Type`] = delivery.eventType;
    if (family !== "X-GitHub") headers[`${family}-Signature`] = digest("sha256");
  }
  headers["X-Hub-Signature"] = `sha1=${digest("sha1")}`;
  headers["X-Hub-Signature-256"] = `sha256=${digest("sha256")}`;
  headers["Accept-Encoding"] = "gzip";
  if (hook.authorization !== "") headers.Authorization = hook.authorization;
  return headers;
}

/** The server's queue of deliveries: sent once, never again, whatever the receiver answers. */
export class Deliveries {
  readonly log: Delivery[] = [];
  readonly #options: DeliveryOptions;
  readonly #hooks = new Map<number, Hook>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #open = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #tail: Promise<void> = Promise.resolve();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  put(hook: Hook, eventType: string, payload: unknown): void {
    this.#put(hook, eventType, goJson(payload));
  }

  /**
   * What the "replay" button does: a new task with a new UUID, the stored text, signed with today's secret.
   */
  redeliver(uuid: string): Delivery {
    const old = this.log.find((delivery) => delivery.uuid === uuid);
    const hook = old && this.#hooks.get(old.hookId);
    if (!old || !hook) throw new Error(`no delivery ${uuid}`);
    return this.#put(hook, old.eventType, old.body);
  }

  /** Resolves when nothing waits or is under way any more. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  stop(): void {
    this.#abort.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #put(hook: Hook, eventType: string, body: string): Delivery {
    const uuid = randomUUID();
    const headers = headersOf(hook, { uuid, eventType, body });
    const delivery: Delivery = {
      uuid,
      hookId: hook.id,
      url: hook.url,
      event: coarseEvent(eventType),
      eventType,
      body,
      headers,
      state: "waiting",
      answer: null,
      error: null,
    };
    this.#hooks.set(hook.id, hook);
    this.log.push(delivery);
    const work = this.#schedule(delivery, hook);
    this.#open.add(work);
    void work.finally(() => this.#open.delete(work));
    return delivery;
  }

  #schedule(delivery: Delivery, hook: Hook): Promise<void> {
    const { delayMs, shuffle } = this.#options;
    if (shuffle) return this.#wait(delayMs + Math.random() * 40).then(() => this.#send(delivery, hook));
    const due = this.#wait(delayMs);
    this.#tail = this.#tail.then(() => due).then(() => this.#send(delivery, hook));
    return this.#tail;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  async #send(delivery: Delivery, hook: Hook): Promise<void> {
    try {
      const text =
        hook.contentType === "form" ? `payload=${encodeURIComponent(delivery.body)}` : delivery.body;
      const answer = await this.#post(delivery, text);
      delivery.answer = answer;
      delivery.state = answer.status >= 200 && answer.status < 300 ? "answered" : "failed";
    } catch (error) {
      delivery.state = "failed";
      delivery.error = error instanceof Error ? error.message : String(error);
    }
  }

  #post(delivery: Delivery, text: string): Promise<{ status: number; body: string }> {
    const timeoutMs = this.#options.timeoutMs ?? DELIVER_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      const send = delivery.url.startsWith("https:") ? httpsRequest : httpRequest;
      const signal = this.#abort.signal;
      const headers = { ...delivery.headers, "Content-Length": String(Buffer.byteLength(text)) };
      const request = send(delivery.url, { method: "POST", headers, signal, agent: false }, (answer) => {
        readAll(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
      });
      // Not `AbortSignal.any`: Node 20 may let the collector take its time limit (nodejs/node#57736).
      const clock = setTimeout(() => request.destroy(new Error("no answer in time")), timeoutMs);
      request.on("error", reject);
      request.once("close", () => clearTimeout(clock));
      request.end(text);
    });
  }
}

async function readAll(stream: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}
