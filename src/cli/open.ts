import { audit } from "../cells/registry/audit.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { openParts } from "../control.ts";
import { createSessions, LINK_MS } from "../dashboard/sessions.ts";
import { REACHED_AT } from "../http/reached-at.ts";
import { silentLog } from "../log.ts";
import { prepareDataDir } from "../store/lock.ts";
import { operatorName } from "./ask.ts";

/**
 * `lazarus open`: a one-time link to the dashboard, for whoever owns `data`. It works without a server, too,
 * but leads nowhere then.
 */
export function makeLink(config: Config): StoredAnswer {
  prepareDataDir(config.dataDir);
  const { db, clock, registry } = openParts(config, { log: silentLog });
  try {
    const [login, at] = [operatorName(), clock.now()];
    const key = db.transaction(() => {
      audit(db).add({
        ...{ at, who: login, whoId: null, via: "command line", verb: "open", subject: "dashboard" },
        ...{ cell: null, why: null, result: "done", reason: null },
      });
      return createSessions(db, clock).makeLink(login);
    });
    const url = `${registry.rememberedText(REACHED_AT) ?? config.server.url}/login/once?key=${key}`;
    const text = `${url}\nOpens the dashboard once, within ${LINK_MS / 1_000} s: whoever has it is the operator.`;
    return { exitCode: 0, text, data: { url, seconds: LINK_MS / 1_000 } };
  } finally {
    db.close();
  }
}
