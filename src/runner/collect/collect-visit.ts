import type { CellUser } from "../../backends/backend.ts";
import type { Harvest } from "../../protocol/shapes.ts";
import type { CellPaths } from "../disk/directory.ts";
import { openWork, removeCopy } from "../disk/guest-room.ts";
import { readReport } from "../disk/log-tail.ts";
import { LOG_BYTES, NOTHING, REPORT_BYTES } from "./collect.ts";
import { readQuestion, readSaid, readSigns, type Traces } from "./evidence.ts";

/**
 * What an observer left: its report, its question and signs of how it went. Of its tree nothing is taken, and
 * what it had a copy of goes. Whatever was closed to it is given back.
 * @throws LazarusError `directory`.
 */
export async function collectVisit(of: {
  readonly paths: CellPaths;
  readonly agent: string;
  readonly user: CellUser | null;
  readonly traces: Omit<Traces, "artifacts" | "cellDir">;
}): Promise<Harvest> {
  const { paths, agent, user } = of;
  const artifacts = ["artifacts", "guests", agent];
  const traces = { ...of.traces, cellDir: paths.cell, artifacts };
  const { since, redact } = traces;
  const report = await readReport(paths.cell, { since, maxBytes: REPORT_BYTES, redact, artifacts });
  const [question, signs] = [await readQuestion(traces), await readSigns(traces)];
  const told = await readSaid(traces, LOG_BYTES);
  if (user !== null) await openWork(paths, user);
  await removeCopy(paths);
  return { ...NOTHING, report, question, signs, ...told };
}
