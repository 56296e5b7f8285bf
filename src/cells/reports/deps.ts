import type { StepDeps } from "../steps/deps.ts";
import type { Steps } from "../steps/steps.ts";

/** What reports are worked off with. */
export interface ReportDeps
  extends Pick<StepDeps, "registry" | "queue" | "uids" | "clock" | "config" | "announce" | "sealsIn"> {
  /** Nothing of the cell is to be kept any more, once the transaction is committed. */
  readonly unkeep?: ((cellId: string) => void) | undefined;
  readonly steps: Steps;
}
