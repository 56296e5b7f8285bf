import type { App } from "../app.ts";
import { VERSION } from "../cli/version.ts";
import type { Dashboard } from "../dashboard/dashboard.ts";
import { createFetch } from "../gitea/http.ts";
import { readCertificates } from "../open-forge.ts";
import { createCellFiles } from "./cell-files.ts";

const FORGE_MS = 15_000;

/** The dashboard of a server that listens; nothing of it is read before somebody asks for a page. */
export async function openDashboard(app: App, url: string): Promise<Dashboard> {
  const { createDashboard } = await import("../dashboard/dashboard.ts");
  const { config, db, log } = app;
  const { redact } = app.heartbeats;
  const { caFile } = config.forge;
  return createDashboard({
    ...app.deps,
    ...{ config, db, log, url, redact, notReady: app.notReady, version: VERSION },
    files: createCellFiles({ config, registry: app.registry, redact }),
    fetch: createFetch({
      ca: caFile === null ? undefined : readCertificates(caFile),
      proxyFor: (to) => config.proxyFor(to),
      timeoutMs: FORGE_MS,
    }),
  });
}
