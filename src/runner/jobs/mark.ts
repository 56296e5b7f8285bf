import type { Job } from "../../queue/queue.ts";
import type { Parts } from "../context.ts";
import { whatIs } from "../disk/directory.ts";
import { writeMission } from "../mission-file.ts";

export async function mark(parts: Parts, job: Job<"mark">): Promise<undefined> {
  const { cellId, mission } = job.payload;
  if ((await whatIs(parts.cellDir(cellId))) === "directory") await writeMission(parts, cellId, mission);
  return undefined;
}
