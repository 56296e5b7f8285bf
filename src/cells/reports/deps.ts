import type { Cell, Run } from "../cell.ts";
import type { StepDeps, Steps } from "../steps/steps.ts";

/** What people must hear of in a new comment, besides the card. */
export type Announcement =
  | {
      readonly kind: "closed";
      readonly cell: Cell;
      readonly by: string;
      readonly person: string | null;
    }
  /** It does not go on by itself: its run says why. */
  | { readonly kind: "needs-you"; readonly cell: Cell; readonly run: Run };

/** What the reports of runners are worked off with. */
export interface ReportedDeps extends Pick<StepDeps, "registry" | "uids" | "clock" | "config"> {
  readonly steps: Steps;
  /** Called in the transaction of the change that is announced. */
  announce(announcement: Announcement): void;
}
