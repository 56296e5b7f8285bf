import * as z from "zod";
import { addressOf } from "../app.ts";
import type { Registry } from "../cells/registry/registry.ts";
import { systemClock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import { logPass, logPath } from "../http/far-logs.ts";
import { REACHED_AT } from "../http/reached-at.ts";
import { openKeyFile } from "../key-file.ts";
import { LOST_KEY, RUNNERS_KEY } from "../open-elsewhere.ts";
import type { LogEnd } from "../protocol/runner-port.ts";

const PATIENCE_MS = 30_000;
const logEnd = z.object({ text: z.string(), cut: z.boolean() });
const refusal = z.object({ error: z.string() });

/** A log of a cell that lies on a runner of another host. */
export interface FarLog {
  readonly cellId: string;
  readonly runner: string;
  /** `allegro-1.log` */
  readonly log: string;
}

/**
 * Has the server that runs here ask the runner for the end of a log: at most `maxBytes`, secrets hidden
 * there.
 * @throws LazarusError `runner-gone` where no server runs, or the runner is not heard.
 */
export async function readFarLog(
  { cellId, runner, log }: FarLog,
  at: { readonly config: Config; readonly registry: Pick<Registry, "rememberedText">; maxBytes: number },
): Promise<LogEnd> {
  const { config, registry, maxBytes } = at;
  const path = logPath(cellId, log);
  const master = openKeyFile(config.dataDir, RUNNERS_KEY, LOST_KEY);
  const url = new URL(`${path}?bytes=${maxBytes}`, serverOf(config, registry));
  const lies = `its log lies on the runner ${runner}`;
  let response: Response;
  try {
    response = await fetch(url, {
      headers: { Authorization: logPass(master, path, systemClock.now()) },
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    throw new LazarusError(
      "runner-gone",
      `${lies}, and no server answers at ${url.origin} that could ask for it: start lazarus serve, then type this again`,
      { cause: error, retryable: true },
    );
  }
  const body: unknown = await response.json().catch(() => null);
  const end = logEnd.safeParse(body);
  if (response.ok && end.success) return end.data;
  const said = refusal.safeParse(body);
  const why = said.success ? said.data.error : `${url.origin} answered ${response.status}, and is no Lazarus`;
  throw new LazarusError("runner-gone", `${lies}: ${why}`, { retryable: response.status === 503 });
}

/** Where the server of this host listens, as seen from this host. */
function serverOf({ server }: Config, registry: Pick<Registry, "rememberedText">): string {
  if (server.port === 0) return registry.rememberedText(REACHED_AT) ?? server.url;
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[server.host] ?? server.host;
  return addressOf({ host, port: server.port });
}
