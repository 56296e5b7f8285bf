import type { StepDeps } from "../steps/deps.ts";
import type { Steps } from "../steps/steps.ts";

/** What reports are worked off with. */
export interface ReportDeps
  extends Pick<StepDeps, "registry" | "queue" | "uids" | "clock" | "config" | "announce"> {
  readonly steps: Steps;
}
