import type { ServerResponse } from "node:http";
import { audit } from "../cells/registry/audit.ts";
import { toIso } from "../clock.ts";
import type { Ask } from "./deps.ts";
import { sendStatus } from "./send.ts";

const MOST_ROWS = 100_000;

/** The audit as a table for other programs; no cell begins like a formula. */
export function sendAudit(response: ServerResponse, { d, viewer }: Ask): void {
  if (!viewer.isOperator) {
    sendStatus(response, 403);
    return;
  }
  const rows = audit(d.db).find({ limit: MOST_ROWS });
  const quote = (text: string) => `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  const lines = rows.map((row) =>
    [
      toIso(row.at),
      row.who,
      row.via,
      row.verb,
      row.subject,
      row.cell ?? "",
      row.why ?? "",
      row.result,
      row.reason ?? "",
    ]
      .map((text) => quote(d.redact(text)))
      .join(","),
  );
  response.writeHead(200, {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": 'attachment; filename="lazarus-audit.csv"',
  });
  response.end(["when,who,by,what,on,cell,why,result,reason", ...lines, ""].join("\r\n"));
}
