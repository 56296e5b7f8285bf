import type { State } from "./cell.ts";

/** One thing that happened to a cell; where it moved nothing both states are the same. */
export interface HistoryRow {
  readonly at: number;
  readonly from: State | null;
  readonly to: State;
  readonly who: string;
  readonly why: string;
}
