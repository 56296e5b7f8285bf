import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { App } from "../app.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { collect } from "../metrics/collect.ts";
import type { Metrics } from "../metrics/prometheus.ts";

/** `GET /metrics`, where the configuration has it. */
export interface MetricsServer {
  /** On the server's own address, with the token; 404 where there is none. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Loads what counts, and listens on the address of `metrics.listen`; called once the server listens. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

/** Of the program, for `build_info`. */
export function createMetricsServer(app: App, version: string): MetricsServer {
  const { listen, token } = app.config.metrics;
  let metrics: Metrics | null = null;
  const answer = async (response: ServerResponse) => {
    if (metrics === null) return end(response, 503, "not yet");
    try {
      const text = await metrics.text();
      response.writeHead(200, { "content-type": metrics.contentType, "cache-control": "no-store" }).end(text);
    } catch (error) {
      app.log.warn({ why: explain(error) }, "metrics could not be read");
      end(response, 500, "the metrics could not be read; the log says why");
    }
  };
  const own = createServer((request, response) => {
    const isAsked = request.method === "GET" && request.url?.split("?")[0] === "/metrics";
    if (isAsked) void answer(response);
    else end(response, 404, "there is nothing here but /metrics");
  });
  own.maxConnections = 32;
  own.requestTimeout = 10_000;
  return {
    handle(request, response) {
      if (token === null) return end(response, 404, "there is nothing here");
      if (!isBearer(request, token)) {
        response.setHeader("www-authenticate", "Bearer");
        return end(response, 401, "metrics.token is wanted, as a bearer");
      }
      void answer(response);
    },
    async begin() {
      if (listen === null && token === null) return;
      const { openMetrics } = await import("../metrics/prometheus.ts");
      metrics = openMetrics(() => collect(app, version));
      if (listen === null) return;
      own.listen(listen.port, listen.host);
      try {
        await once(own, "listening");
      } catch (error) {
        const why = systemCode(error) === "EADDRINUSE" ? "in use" : explain(error);
        throw new LazarusError(
          "usage",
          `cannot listen on ${listen.host}:${listen.port}: ${why} (metrics.listen in lazarus.yaml)`,
        );
      }
    },
    async close() {
      metrics?.stop();
      own.close();
      own.closeAllConnections();
    },
  };
}

function end(response: ServerResponse, status: number, error: string): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify({ error })}\n`);
}

/** Whether a request bears a token; compared without telling how much of it is right. */
export function isBearer({ headers }: Pick<IncomingMessage, "headers">, token: string): boolean {
  const [scheme = "", given = ""] = (headers.authorization ?? "").split(" ", 2);
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return scheme.toLowerCase() === "bearer" && timingSafeEqual(digest(given), digest(token));
}
