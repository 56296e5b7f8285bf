import type { JobKind, JobPayload } from "./jobs.ts";

/** Which cell, and which run or check of it, a job is about; null: none. */
export function subjectOf(payload: JobPayload<JobKind>): {
  cellId: string | null;
  run: number | null;
  check: number | null;
} {
  const cellId = "cellId" in payload ? payload.cellId : "cell" in payload ? payload.cell.id : null;
  return {
    cellId,
    run: "run" in payload ? payload.run : null,
    check: "check" in payload ? payload.check : null,
  };
}
