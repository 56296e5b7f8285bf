import type { Run } from "../cells/cell.ts";
import { toIso } from "../clock.ts";

/** How a run ended: `exit 3 after 2 s`, `stopped by dev`, `gone without a trace`. */
export function endOfRun(run: Pick<Run, "code" | "signal" | "stopped" | "startedAt" | "endedAt">): string {
  const took =
    run.startedAt === null || run.endedAt === null ? "" : ` after ${span(run.endedAt - run.startedAt)}`;
  if (run.stopped !== null) return `${run.stopped}${took}`;
  if (run.signal !== null) return `ended by signal ${run.signal}${took}`;
  if (run.code === null)
    return `killed by the machine, or by somebody with the right to${took}: nobody saw it end`;
  return `exit ${run.code}${took}`;
}

/** `2026-12-05 14:30 UTC`. */
export function moment(at: number): string {
  return `${toIso(at).slice(0, 16).replace("T", " ")} UTC`;
}

/** `5 December`, in UTC. */
export function day(at: number): string {
  return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });
}

/** `45 s`, `12 min`, `4 h`, `3 d`: the larger unit, rounded down, as cards say it. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}
