import { readFileSync } from "node:fs";
import type { RequestHandler, Router } from "express";
import type { App } from "../app.ts";
import { createStreams } from "../gitea/http.ts";
import { createGitGate } from "./git-gate.ts";

/** Without a byte from the forge, which may have a large pack to make. */
const SILENT_MS = 10 * 60_000;

/** The gate of this server's forge and bot. */
export function openGitGate(app: App, gate: NonNullable<App["gate"]>): Router {
  const { forge, proxyFor } = app.config;
  const ca = forge.caFile === null ? undefined : readFileSync(forge.caFile, "utf8");
  return createGitGate({
    ...{ forgeUrl: forge.url, token: forge.token, log: app.log, ...gate },
    streams: createStreams({ ca, proxyFor, timeoutMs: SILENT_MS }),
    now: () => app.deps.clock.now(),
  });
}

/** Cuts off who takes longer than that to send a request, unless that is git, or a seal. */
export function inTime(ms: number): RequestHandler {
  return (request, _response, next) => {
    if (!/^\/(git|seals)\//.test(request.path)) {
      const timer = setTimeout(() => {
        if (!request.complete) request.socket.destroy();
      }, ms);
      request.once("close", () => clearTimeout(timer));
    }
    next();
  };
}
