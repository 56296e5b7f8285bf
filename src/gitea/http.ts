import type { Readable } from "node:stream";
import tls from "node:tls";
import { Agent, type Dispatcher, errors, ProxyAgent, request } from "undici";

/** The largest answer that is read where nobody says otherwise; a forge that sends more is not believed. */
const MOST_BYTES = 32 * 1024 * 1024;

/** An answer of more bytes than are read. */
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
  /** The largest answer that is read, in bytes. */
  readonly mostBytes?: number | undefined;
}

/**
 * A `fetch` for one forge: Node 20's own knows neither a CA of ours nor a proxy. Follows no redirect, reads
 * at most `mostBytes` and ends each request after `timeoutMs`. Rejects with the system's error, a
 * `TimeoutError` or `AnswerTooLarge`; never retries.
 */
export function createFetch(options: HttpOptions): typeof fetch {
  const dispatcherFor = createDispatchers(options);
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init.method ?? "GET";
    const body = typeof init.body === "string" ? init.body : null;
    const signal = AbortSignal.timeout(options.timeoutMs);
    // gitea-js forgets the type for some calls, and Gitea then answers 422.
    const type = body === null ? {} : { "content-type": "application/json" };
    try {
      const answer = await request(url, {
        ...{ dispatcher: dispatcherFor(url, method === "GET"), method, body, signal },
        headers: { ...type, ...Object.fromEntries(new Headers(init.headers)) },
      });
      return responseOf(answer, await answer.body.arrayBuffer());
    } catch (error) {
      if (error instanceof errors.ResponseExceededMaxSizeError)
        throw new AnswerTooLarge(`the answer is larger than ${options.mostBytes ?? MOST_BYTES} bytes`);
      // The library's own codes tell people nothing; its words do.
      if (error instanceof errors.UndiciError) throw new Error(error.message, { cause: error });
      throw error;
    }
  };
}

/** Kept by proxy and kind, since the connections are in them. */
function createDispatchers(options: HttpOptions): (url: URL, isRead: boolean) => Dispatcher {
  const { timeoutMs: timeout, ca } = options;
  const trust = { timeout, ...(ca === undefined ? {} : { ca: [...tls.rootCertificates, ca] }) };
  const made = new Map<string, Dispatcher>();
  const make = (proxy: string | null, isRead: boolean): Dispatcher => {
    const settings = {
      maxResponseSize: options.mostBytes ?? MOST_BYTES,
      ...{ headersTimeout: timeout, bodyTimeout: timeout },
      // A kept connection may die just as it is used again. A read is then repeated, a write is not: it gets
      // a new one.
      pipelining: isRead ? 1 : 0,
    };
    if (proxy === null) return new Agent({ ...settings, connect: trust });
    const tunnel = { proxyTunnel: false, requestTls: trust, proxyTls: trust };
    return new ProxyAgent({ ...settings, ...tunnel, uri: proxy });
  };
  return (url, isRead) => {
    const proxy = options.proxyFor?.(url) ?? null;
    const key = `${isRead} ${proxy}`;
    const dispatcher = made.get(key) ?? make(proxy, isRead);
    made.set(key, dispatcher);
    return dispatcher;
  };
}

function responseOf(answer: Dispatcher.ResponseData, bytes: ArrayBuffer): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const status = answer.statusCode;
  const isEmpty = status === 204 || status === 205 || status === 304;
  return new Response(isEmpty ? null : bytes, { status, headers });
}

/** An answer of the forge as it comes in. */
export interface Streamed {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable;
}
export type Streams = (
  url: string,
  request: {
    readonly method: "GET" | "POST" | "PUT";
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Readable | null;
    readonly signal: AbortSignal;
  },
) => Promise<Streamed>;

/**
 * Requests of any size, handed through as they come: for git. `timeoutMs`: without a byte. Follows no
 * redirect.
 */
export function createStreams({ ca, proxyFor, timeoutMs: timeout }: HttpOptions): Streams {
  const trust = { timeout: 30_000, ...(ca === undefined ? {} : { ca: [...tls.rootCertificates, ca] }) };
  const settings = {
    ...{ headersTimeout: timeout, bodyTimeout: timeout },
    // A connection of one request alone (`pipelining: 0`) that ends while nobody reads for a moment ends the
    // process (nodejs/undici#5360). So it is kept, and closed before a server would.
    ...{ pipelining: 1, keepAliveTimeout: 1, keepAliveMaxTimeout: 1 },
  };
  const made = new Map<string | null, Dispatcher>();
  return async (address, { method, headers, body, signal }) => {
    const proxy = proxyFor?.(new URL(address)) ?? null;
    const tunnel = { proxyTunnel: false, requestTls: trust, proxyTls: trust };
    const dispatcher =
      made.get(proxy) ??
      (proxy === null
        ? new Agent({ ...settings, connect: trust })
        : new ProxyAgent({ ...settings, ...tunnel, uri: proxy }));
    made.set(proxy, dispatcher);
    const answer = await request(address, { dispatcher, method, headers, body, signal });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body };
  };
}
