import { logNameOf } from "../../cells/names.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import { lastBytes } from "../../visible.ts";
import type { Parts } from "../context.ts";
import { readLogEnd } from "../disk/log-tail.ts";
import { renderLog } from "../events/render-log.ts";
import { unknownSecrets, whatIsMissing } from "../known-secrets.ts";

const TAIL_BYTES = 64 * 1024;
/** Of a stream of events that is to be read as words: one may hold a whole file. */
const EVENTS_BYTES = 1024 * 1024;

export async function tail(parts: Parts, job: RunnerJob<"tail">): Promise<Outcome> {
  const { cellId, run, agent, lines, raw, asker, secrets } = job.payload;
  const { missing } = unknownSecrets(secrets, parts);
  if (missing.length > 0) {
    const text = `[not shown: ${whatIsMissing(missing)}]`;
    return { reports: [reportOf("tailed", { cellId, run, asker, text, truncated: true }, job.key)] };
  }
  const how = { maxBytes: raw ? TAIL_BYTES : EVENTS_BYTES, redact: parts.redact };
  const read = await readLogEnd(parts.cellDir(cellId), logNameOf(agent, run), how);
  const whole = raw ? read.text : parts.redact(renderLog(read.text, read.cut));
  const all = whole.replace(/\n$/, "").split("\n");
  const wanted = all.slice(-Math.max(1, lines)).join("\n");
  const text = lastBytes(wanted, TAIL_BYTES);
  const truncated = read.cut || all.length > lines || text.length < wanted.length;
  const payload = { cellId, run, asker, text, truncated };
  return { reports: [reportOf("tailed", payload, job.key)] };
}
