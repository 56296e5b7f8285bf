import { logNameOf } from "../../cells/names.ts";
import type { Finish, Job } from "../../queue/queue.ts";
import type { Parts } from "../context.ts";
import { readLogEnd } from "../disk/log-tail.ts";

const TAIL_BYTES = 64 * 1024;

export async function tail(parts: Parts, job: Job<"tail">): Promise<Finish> {
  const { cellId, run, agent, lines, asker } = job.payload;
  const how = { maxBytes: TAIL_BYTES, redact: parts.redact };
  const read = await readLogEnd(parts.cellDir(cellId), logNameOf(agent, run), how);
  const all = read.text.replace(/\n$/, "").split("\n");
  const text = all.slice(-Math.max(1, lines)).join("\n");
  const payload = { cellId, run, asker, text, truncated: read.cut || all.length > lines };
  return () => parts.report({ kind: "tailed", key: `${job.key}:tailed`, lane: `cell:${cellId}`, payload });
}
