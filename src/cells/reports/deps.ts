import type { StepDeps, Steps } from "../steps/steps.ts";

/** What the reports of runners are worked off with. */
export interface ReportedDeps extends Pick<StepDeps, "registry" | "uids" | "clock" | "config" | "announce"> {
  readonly steps: Steps;
}
