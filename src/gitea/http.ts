import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import tls from "node:tls";

/** The largest answer that is read, in bytes; a forge that sends more is not believed. */
export const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** An answer of more than `MAX_ANSWER_BYTES`. */
export class AnswerTooLarge extends Error {
  override readonly name = "AnswerTooLarge";
}

export interface HttpOptions {
  /** A certificate authority in PEM that is trusted besides the usual ones. */
  readonly ca?: string | undefined;
  /** The proxy to use for an address, `http://[user:password@]host:port`; null for none. */
  readonly proxyFor?: ((url: URL) => string | null) | undefined;
  /** Per request, connecting and reading the body included. */
  readonly timeoutMs: number;
}

interface Sent {
  readonly url: URL;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

type Route = http.RequestOptions & https.RequestOptions;

/**
 * A `fetch` for one forge on `node:http`: Node 20's own knows neither a CA of ours nor a proxy. Follows no
 * redirect, reads at most `MAX_ANSWER_BYTES` and ends each request after `timeoutMs`. Rejects with the
 * system's error, a `TimeoutError` or `AnswerTooLarge`; never retries.
 */
export function createFetch(options: HttpOptions): typeof fetch {
  const trust = options.ca === undefined ? {} : { ca: [...tls.rootCertificates, options.ca] };
  const agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true, ...trust }),
  };

  const routeOf = async (sent: Sent): Promise<Route> => {
    const proxy = options.proxyFor?.(sent.url) ?? null;
    if (proxy !== null) return throughProxy(sent, new URL(proxy), trust);
    // A kept connection may die just as it is used again. A read is then repeated, a write is not: it gets a
    // new one.
    const isRead = sent.method === "GET";
    return {
      ...addressOf(sent.url),
      ...trust,
      agent: isRead ? agents[sent.url.protocol as keyof typeof agents] : false,
    };
  };

  return async (input, init = {}) => {
    const body = typeof init.body === "string" ? init.body : null;
    const sent: Sent = {
      url: new URL(input instanceof Request ? input.url : input),
      method: init.method ?? "GET",
      headers: {
        // gitea-js forgets it for some calls, and Gitea then answers 422.
        ...(body === null ? {} : { "content-type": "application/json" }),
        ...Object.fromEntries(new Headers(init.headers)),
        ...(body === null ? {} : { "content-length": String(Buffer.byteLength(body)) }),
      },
      body,
      signal: AbortSignal.timeout(options.timeoutMs),
    };
    try {
      return await send(sent, await routeOf(sent));
    } catch (error) {
      throw sent.signal.aborted ? sent.signal.reason : error;
    }
  };
}

function addressOf(url: URL): Route {
  // An IPv6 address stands in brackets in a URL, and without them everywhere else.
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { protocol: url.protocol, hostname, port: url.port, path: url.pathname + url.search };
}

function send(sent: Sent, route: Route): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { method, signal } = sent;
    const headers = { ...sent.headers, host: sent.url.host, ...route.headers };
    const request = (route.protocol === "https:" ? https : http).request({
      ...route,
      method,
      headers,
      signal,
    });
    request.once("error", reject);
    request.once("response", (answer) => {
      readAnswer(answer).then(resolve, (error) => {
        request.destroy();
        reject(error);
      });
    });
    request.end(sent.body ?? undefined);
  });
}

async function readAnswer(answer: http.IncomingMessage): Promise<Response> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += part.length;
    if (size > MAX_ANSWER_BYTES)
      throw new AnswerTooLarge(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const status = answer.statusCode ?? 0;
  const isEmpty = status === 204 || status === 205 || status === 304;
  return new Response(isEmpty ? null : Buffer.concat(parts), { status, headers });
}

async function throughProxy(sent: Sent, proxy: URL, trust: { ca?: string[] }): Promise<Route> {
  const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const headers: Record<string, string> =
    login === ":" ? {} : { "proxy-authorization": `Basic ${Buffer.from(login).toString("base64")}` };
  if (sent.url.protocol === "http:")
    return { ...addressOf(proxy), path: sent.url.href, headers, agent: false };

  const { hostname } = addressOf(sent.url);
  const target = `${sent.url.hostname}:${sent.url.port || 443}`;
  const tunnel = await openTunnel(
    { ...addressOf(proxy), path: target, headers: { ...headers, host: target } },
    sent.signal,
  );
  const socket = tls.connect({ socket: tunnel, servername: hostname ?? "", ...trust });
  // Without `agent`, as any agent would open a connection of its own.
  return { ...addressOf(sent.url), createConnection: () => socket };
}

function openTunnel(route: Route, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = (route.protocol === "https:" ? https : http).request({
      ...route,
      method: "CONNECT",
      agent: false,
      signal,
    });
    request.once("error", reject);
    // Without a tunnel the answer comes as an ordinary response.
    request.once("response", (answer) => {
      request.destroy();
      reject(new Error(`the proxy answered ${answer.statusCode}`));
    });
    request.once("connect", (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket as Socket);
      socket.destroy();
      reject(new Error(`the proxy answered ${answer.statusCode}`));
    });
    request.end();
  });
}
