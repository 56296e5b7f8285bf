import * as z from "zod";
import type { RunnerJob } from "../protocol/runner-port.ts";
import { isMark, markOf } from "./keys.ts";

/**
 * What a pass of the seal gate lets its runner do for a job in hand: hand over a cell's seal, or fetch one.
 */
const rights = z.object({
  runner: z.string(),
  row: z.string(),
  attempt: z.number(),
  cellId: z.string(),
  use: z.enum(["store", "fetch"]),
  /** Of what it may fetch. */
  digest: z.string().nullable(),
  /** Epoch ms. */
  until: z.number(),
});
export type SealRights = z.infer<typeof rights>;

const PURPOSE = "seal gate";
/** A job that takes longer is sent another. */
const LASTS_MS = 10 * 60_000;

/** What a pass says, where it is one of ours; whether it still holds is for the caller to ask. */
export function readSealPass(master: Uint8Array, pass: string): SealRights | null {
  const [body = "", mark = "", ...more] = pass.split(".");
  if (more.length > 0 || !isMark(mark, markOf(master, PURPOSE, body))) return null;
  const parsed = rights.safeParse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
  return parsed.success ? parsed.data : null;
}

/** The pass that a job needs; null: none. `now`: epoch ms. */
export function sealPassOf(master: Uint8Array, runner: string, job: RunnerJob, now: number): string | null {
  const wanted = wants(job);
  if (wanted === null) return null;
  const what: SealRights = { ...wanted, runner, row: job.id, attempt: job.attempt, until: now + LASTS_MS };
  const body = Buffer.from(JSON.stringify(what)).toString("base64url");
  return `${body}.${markOf(master, PURPOSE, body)}`;
}

function wants(job: RunnerJob): Pick<SealRights, "cellId" | "use" | "digest"> | null {
  if (job.kind === "store") {
    const { cellId } = (job as RunnerJob<"store">).payload;
    return { cellId, use: "store", digest: null };
  }
  if (job.kind !== "restore") return null;
  const { cellId, stored } = (job as RunnerJob<"restore">).payload;
  return stored === null ? null : { cellId, use: "fetch", digest: stored.digest };
}
