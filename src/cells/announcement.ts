import type { Asker } from "../protocol/asker.ts";
import type { Harvest } from "../protocol/shapes.ts";
import type { Rest } from "./budget.ts";
import type { Cell, Run } from "./cell.ts";

/** What people must hear of in a new comment, besides the card. */
export type Announcement =
  | {
      readonly kind: "closed";
      readonly cell: Cell;
      readonly by: string;
      readonly person: string | null;
    }
  /** What somebody told an agent stands in a prompt. */
  | { readonly kind: "told"; readonly asker: Asker }
  /** It will never stand in one. */
  | { readonly kind: "untold"; readonly asker: Asker }
  /** The first run of a cell has begun: what was asked for is done. */
  | { readonly kind: "begun"; readonly cell: Cell }
  /**
   * It ended before it began. `isNews`: nobody did that on purpose whom they could have watched, so they are
   * told.
   */
  | { readonly kind: "never-began"; readonly cell: Cell; readonly why: string; readonly isNews: boolean }
  /** Somebody wanted it closed, and that could not be; `n` tells one time from the next. */
  | {
      readonly kind: "not-closed";
      readonly cell: Cell;
      readonly person: string;
      readonly why: string;
      readonly n: number;
    }
  /** An observer has looked at its work, or could not (`harvest` null). */
  | { readonly kind: "visited"; readonly cell: Cell; readonly run: Run; readonly harvest: Harvest | null }
  /** It does not go on, since its budget or its turns are used up; said once after each run. */
  | { readonly kind: "rests"; readonly cell: Cell; readonly run: Run; readonly rest: Rest }
  /** It does not go on by itself: its run says why. */
  | { readonly kind: "needs-you"; readonly cell: Cell; readonly run: Run };
