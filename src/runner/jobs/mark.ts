import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { whatIs } from "../disk/directory.ts";
import { writeMission } from "../mission-file.ts";

export async function mark(parts: Parts, job: RunnerJob<"mark">): Promise<Outcome> {
  const { cellId, mission } = job.payload;
  if ((await whatIs(parts.cellDir(cellId))) === "directory") await writeMission(parts, cellId, mission);
  return NOTHING_TO_SAY;
}
