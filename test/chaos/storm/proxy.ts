import { once } from "node:events";
import {
  request as ask,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Dice } from "./dice.ts";

/** How long a request hangs before its connection is cut: longer than Lazarus waits in a storm (doom.mjs). */
const HANG_MS = 6_000;

/** What the proxy may do to a request instead of, or after, passing it on. */
export const FAULTS = {
  "500": 3,
  "502 as HTML": 2,
  "503": 2,
  "429 with Retry-After": 2,
  reset: 3,
  hang: 1,
  "half an answer": 2,
  "HTML instead of JSON": 2,
  "passed on, answer lost": 4,
  "passed on, answer hangs": 1,
  late: 4,
} as const;
export type FaultName = keyof typeof FAULTS;

/** Waits for a write that the forge has just stored: its answer is never passed on. */
export interface Ambush {
  readonly method: RegExp;
  readonly path: RegExp;
  sprung(): void;
}

/**
 * Stands between Lazarus and the forge. Which request gets which fault is chosen by the seed and the order in
 * which they come.
 */
export class ForgeProxy {
  readonly tally = new Map<string, number>();
  /** Of each request a fault is made with this probability. */
  faultRate = 0;
  ambush: Ambush | null = null;
  requests = 0;
  /** Writes that the forge stored and whose answer nobody was there to hear, since this was last set to 0. */
  unheard = 0;
  readonly #server: Server;
  readonly #target: URL;
  readonly #dice: Dice;

  private constructor(server: Server, target: string, dice: Dice) {
    this.#server = server;
    this.#target = new URL(target);
    this.#dice = dice;
  }

  static async open(target: string, dice: Dice): Promise<ForgeProxy> {
    const server = createServer();
    const proxy = new ForgeProxy(server, target, dice);
    server.on("request", (request, response) => proxy.#serve(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.requests++;
    const fault = this.#dice.chance(this.faultRate) ? this.#dice.weighted(FAULTS) : null;
    if (fault !== null) this.tally.set(fault, (this.tally.get(fault) ?? 0) + 1);
    // A client that was killed is no news.
    for (const end of [request, response]) end.on("error", () => {});
    if (fault !== null && answerInstead(fault, request, response)) return;
    if (fault === "late") {
      setTimeout(() => this.#pass(request, response, { fault: null }), 50 + this.#dice.between(0, 400));
      return;
    }
    this.#pass(request, response, { fault });
  }

  #pass(request: IncomingMessage, response: ServerResponse, { fault }: { fault: FaultName | null }): void {
    const { hostname, port } = this.#target;
    const method = request.method ?? "GET";
    const headers = { ...request.headers, host: this.#target.host };
    const inner: ClientRequest = ask({ hostname, port, method, path: request.url, headers, agent: false });
    inner.once("error", () => response.destroy());
    inner.once("response", (answer) => {
      const status = answer.statusCode ?? 500;
      const isStored = method !== "GET" && status < 300 && !/git-upload-pack/.test(request.url ?? "");
      const trap = this.ambush;
      if (isStored && trap?.method.test(method) && trap.path.test(request.url ?? "")) {
        // What was stored is whole only when the whole answer is there.
        answer.resume().once("end", () => {
          this.ambush = null;
          this.unheard++;
          trap.sprung();
        });
        return;
      }
      if (isStored && fault === null && response.destroyed) this.unheard++;
      deliver(answer, response, fault);
    });
    request.pipe(inner);
    // Somebody who was killed in the middle of a request: the forge sees it cut as well. A whole one is
    // worked off.
    request.once("close", () => {
      if (!request.complete) inner.destroy();
    });
  }
}

/** True where the fault answers before the forge hears of anything. */
function answerInstead(fault: FaultName, request: IncomingMessage, response: ServerResponse): boolean {
  const page = "<!DOCTYPE html>\n<html><body>Something is wrong here.</body></html>\n";
  const say = (status: number, headers: Record<string, string>, body: string) => {
    request.resume();
    request.once("end", () => response.writeHead(status, headers).end(body));
    return true;
  };
  switch (fault) {
    case "500":
      return say(500, { "content-type": "application/json" }, '{"message":""}\n');
    case "502 as HTML":
      return say(502, { "content-type": "text/html" }, page);
    case "503":
      return say(503, { "content-type": "text/plain" }, "busy\n");
    case "429 with Retry-After":
      return say(
        429,
        { "content-type": "application/json", "retry-after": "1" },
        '{"message":"slow down"}\n',
      );
    case "HTML instead of JSON":
      return say(200, { "content-type": "text/html" }, page);
    case "reset":
      request.socket.resetAndDestroy();
      return true;
    case "hang":
      request.resume();
      setTimeout(() => request.socket.resetAndDestroy(), HANG_MS).unref();
      return true;
    default:
      return false;
  }
}

function deliver(answer: IncomingMessage, response: ServerResponse, fault: FaultName | null): void {
  const socket = response.socket;
  answer.on("error", () => response.destroy());
  if (fault === "passed on, answer lost") {
    answer.resume().once("end", () => socket?.resetAndDestroy());
    return;
  }
  if (fault === "passed on, answer hangs") {
    answer.resume();
    setTimeout(() => socket?.resetAndDestroy(), HANG_MS).unref();
    return;
  }
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  if (fault === "half an answer") {
    const parts: Buffer[] = [];
    answer.on("data", (part: Buffer) => parts.push(part));
    answer.once("end", () => {
      const body = Buffer.concat(parts);
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => socket?.destroy());
    });
    return;
  }
  answer.pipe(response);
}
