import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { createDashboard } from "../../src/dashboard/dashboard.ts";
import type { CellFiles } from "../../src/dashboard/deps.ts";
import { createSessions, type Sessions } from "../../src/dashboard/sessions.ts";
import { silentLog } from "../../src/log.ts";
import type { ControlOptions } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";
import { Visitor } from "./visitor.ts";

/** A dashboard over the control side and a stand-in, with a clock that stands still until it is told. */
export interface DashboardRig extends ForgeRig {
  readonly url: string;
  readonly sessions: Sessions;
  /** Somebody who is signed in; `id` null: the operator. */
  visitor(person: { readonly id: number | null; readonly login: string }): Visitor;
}

export async function createDashboardRig(
  options: ControlOptions & { readonly files?: Partial<CellFiles>; readonly below?: string } = {},
): Promise<DashboardRig> {
  const rig = await createForgeRig(options);
  const web = express();
  const server = createServer(web);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sessions = createSessions(rig.db, rig.clock);
  const none = { text: "", cut: false };
  const dashboard = createDashboard({
    ...rig.deps,
    ...{ db: rig.db, log: silentLog, url: `${origin}${options.below ?? ""}`, version: "0.1.0" },
    ...{ redact: (text) => text.replaceAll("hunter22", "[redacted]"), notReady: () => [], fetch },
    files: {
      log: async () => none,
      diff: async () => none,
      artifacts: async () => [],
      artifact: async () => null,
      unhidden: () => null,
      free: async () => 10 * 1024 ** 3,
      ...options.files,
    },
  });
  web.use(dashboard.handler);
  web.use((_request, response) => void response.status(404).json({ error: "there is nothing here" }));
  return {
    ...rig,
    url: origin,
    sessions,
    visitor(person) {
      const made = new Visitor(origin);
      made.cookies.set("lazarus", sessions.begin(person, rig.config.login.sessionMs));
      return made;
    },
    async stop() {
      dashboard.close();
      server.closeAllConnections();
      server.close();
      await rig.stop();
    },
  };
}
