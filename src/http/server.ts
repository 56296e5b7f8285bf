import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import { type App, addressOf } from "../app.ts";
import { VERSION } from "../cli/version.ts";
import type { Config } from "../config/config.ts";
import type { Dashboard } from "../dashboard/dashboard.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { createHeard } from "../webhooks/heard.ts";
import { isOfInterest } from "../webhooks/of-interest.ts";
import { parseText } from "../webhooks/read-text.ts";
import { createReceiver } from "../webhooks/receiver.ts";
import { sparing } from "../webhooks/sparing.ts";
import { createFarLogs } from "./far-logs.ts";
import { createHeartbeatRoute } from "./heartbeats.ts";
import { createMetricsServer, isBearer } from "./metrics.ts";
import { openDashboard } from "./open-dashboard.ts";
import { inTime, openGitGate } from "./open-git-gate.ts";
import { openSealGate } from "./open-seal-gate.ts";
import { REACHED_AT } from "./reached-at.ts";

/** How long a sender may take, and how often slow ones are looked for and cut off. */
export interface SenderLimits {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly lookMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** At one time; more are not taken. */
  readonly connections: number;
}

/** Strangers hear yes or no: the reasons name the forge and this machine's paths. */
function mayHearWhy(request: IncomingMessage, { token }: Config["metrics"]): boolean {
  return isFromHere(request) || (token !== null && isBearer(request, token));
}

/** A proxy on this machine says for whom it asks. */
function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const { remoteAddress = "" } = socket;
  const isForwarded = "forwarded" in headers || "x-forwarded-for" in headers || "via" in headers;
  return !isForwarded && /^(127\.|::1$|::ffff:127\.)/.test(remoteAddress);
}

const LIMITS: SenderLimits = {
  ...{ headersMs: 10_000, requestMs: 30_000, lookMs: 5_000, idleMs: 60_000 },
  connections: 256,
};

export interface HttpServer {
  /** `http://127.0.0.1:8420`, with the port that was given. */
  readonly url: string;
  /** Takes no new requests, and lets the ones in hand finish. */
  close(): Promise<void>;
}

/**
 * Listens for deliveries and probes.
 * @throws LazarusError `usage` when the address cannot be had.
 */
export async function listen(app: App, given: Partial<SenderLimits> = {}): Promise<HttpServer> {
  const limits = { ...LIMITS, ...given };
  const { config } = app;
  const web = express();
  web.disable("x-powered-by");
  web.disable("etag");
  web.use(below(new URL(config.server.url).pathname));
  if (app.gate !== null) web.use(inTime(limits.requestMs));
  web.get("/healthz", (_request, response) => void response.json({ ok: true }));
  web.get("/readyz", (request, response) => {
    const reasons = app.notReady();
    if (reasons.length === 0) response.json({ ready: true });
    else
      response
        .status(503)
        .json({ ready: false, ...(mayHearWhy(request, config.metrics) ? { reasons } : {}) });
  });
  web.use(
    createReceiver({
      secrets: config.forge.webhookSecrets,
      db: app.db,
      queue: app.queue,
      log: app.log,
      isServed: app.deps.rights.isServed,
      holdsCommand: (text) => parseText(text).length > 0,
      botId: app.botId,
      isOfInterest: (thread) => isOfInterest(thread, app.deps.registry),
      unlooked: app.unlooked,
      told: app.deps.forge.tellRepository,
      heard: createHeard({ registry: app.deps.registry, clock: app.deps.clock, log: app.log }),
    }),
  );
  if (app.gate !== null) web.use(openGitGate(app, app.gate), createFarLogs(app, app.gate));
  if (app.gate !== null && app.seals !== null) web.use(openSealGate(app, app.gate, app.seals));
  web.use(createHeartbeatRoute(app.heartbeats, app.deps.clock));
  const metrics = createMetricsServer(app, VERSION);
  web.get("/metrics", metrics.handle);
  const dashboard = lazily(app);
  web.use(dashboard.handler);
  web.use((_request, response) => void response.status(404).json({ error: "there is nothing here" }));
  web.use(problems);

  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      // What runners push takes as long as it takes; anybody else is cut off by `inTime`.
      requestTimeout: app.gate === null ? limits.requestMs : 0,
      connectionsCheckingInterval: limits.lookMs,
    },
    web,
  );
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleMs);
  const sayFull = sparing<void>((_, others) =>
    app.log.warn(
      { connections: limits.connections, others },
      "connection refused: there are too many already",
    ),
  );
  server.on("drop", () => sayFull());
  server.listen(config.server.port, config.server.host);
  try {
    await once(server, "listening");
  } catch (error) {
    const address = `${config.server.host}:${config.server.port}`;
    const isTaken = systemCode(error) === "EADDRINUSE";
    const why = isTaken ? "in use; is another serve running?" : String((error as Error).message);
    throw new LazarusError(
      "usage",
      `cannot listen on ${address}: ${why} (server.listen in lazarus.yaml)`,
      isTaken ? {} : { cause: error },
    );
  }
  const { port } = server.address() as AddressInfo;
  const url = addressOf({ host: config.server.host, port });
  app.heartbeats.listensAt(url);
  // Without `server.url` people reach it where it listens, also where it was given a free port.
  const isSaid = config.server.url !== addressOf(config.server);
  const reached = isSaid ? config.server.url : url;
  app.registry.rememberText(REACHED_AT, reached);
  dashboard.listensAt(reached);
  await metrics.begin().catch((error: unknown) => {
    server.close();
    throw error;
  });
  return {
    url,
    async close() {
      await Promise.all([dashboard.close(), metrics.close()]);
      server.close();
      server.closeIdleConnections();
      const hard = setTimeout(() => server.closeAllConnections(), 2_000);
      await once(server, "close");
      clearTimeout(hard);
    },
  };
}

/** Proxies take the path of `server.url` away before they pass a request on, or leave it: both are served. */
function below(path: string): RequestHandler {
  const base = path.replace(/\/+$/, "");
  return (request, _response, next) => {
    if (base !== "" && request.url.startsWith(`${base}/`)) request.url = request.url.slice(base.length);
    next();
  };
}

/** The dashboard, which is read when somebody first asks for a page. */
function lazily(app: App) {
  let url: string | null = null;
  let opened: Promise<Dashboard> | null = null;
  const handler: RequestHandler = (request, response, next) => {
    if (url === null) return next();
    opened ??= openDashboard(app, url).catch((error: unknown) => {
      app.log.error({ why: explain(error) }, "the dashboard could not be opened");
      throw error;
    });
    opened.then((dashboard) => dashboard.handler(request, response, next)).catch(next);
  };
  return {
    handler,
    listensAt: (reached: string) => {
      url = reached;
    },
    close: async () => (await opened?.catch(() => null))?.close(),
  };
}

/** Express' own errors (a malformed URL, say): one line, no stack. */
const problems: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) return next(error);
  const status =
    typeof error === "object" && error !== null && "status" in error ? Number(error.status) : 500;
  response
    .status(status >= 400 && status < 600 ? status : 500)
    .json({ error: "the request could not be handled" });
};
