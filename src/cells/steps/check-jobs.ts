import type { CellUserNumbers } from "../../protocol/shapes.ts";
import type { NewJob } from "../../queue/queue.ts";
import type { Cell } from "../cell.ts";
import type { Check } from "../check.ts";
import { laneOf } from "./step-jobs.ts";

type User = CellUserNumbers | null;

/** A disk may be full, or a forge away, for an hour or so; then people hear that it could not be run. */
const CHECK_ATTEMPTS = 20;

/** Builds the jobs that checks need, each under its key. */
export const checkJobs = {
  /** `asked` tells one asking from the next. */
  plan: (cell: Cell, tip: string, how: { user: User; asked: string }): NewJob<"plan-checks"> => ({
    kind: "plan-checks",
    key: `${cell.id}:plan-checks:${tip}:${how.asked}`,
    lane: laneOf(cell.id),
    maxAttempts: CHECK_ATTEMPTS,
    payload: { cellId: cell.id, ...ruled(cell, how.user), tip },
  }),

  check: (
    cell: Cell,
    check: Pick<Check, "n" | "name" | "side" | "commit" | "agent">,
    how: { user: User; digest: string; mostMs: number },
  ): NewJob<"check"> => {
    const branch = `refs/heads/${cell.publishedBranch ?? cell.branch}`;
    const { n, name, side, commit, agent } = check;
    const { user, digest, mostMs } = how;
    return {
      kind: "check",
      key: `${cell.id}:check:${n}`,
      lane: laneOf(cell.id),
      maxAttempts: CHECK_ATTEMPTS,
      payload: {
        ...{ cellId: cell.id, check: n, agent, name, digest, commit, mostMs },
        ...ruled(cell, user),
        ref: side === "tip" ? branch : cell.baseRef,
      },
    };
  },

  end: (check: Pick<Check, "cellId" | "n" | "handle">, user: User, why: string): NewJob<"end-check"> => ({
    kind: "end-check",
    key: `${check.cellId}:end-check:${check.n}`,
    lane: laneOf(check.cellId),
    urgent: true,
    maxAttempts: 100,
    payload: {
      ...{ cellId: check.cellId, check: check.n, user, why },
      handle: check.handle === null ? null : { ...check.handle },
    },
  }),

  /** One that still waits serves as well. */
  statuses: (cellId: string): NewJob<"statuses"> => ({
    kind: "statuses",
    key: crypto.randomUUID(),
    lane: `status:${cellId}`,
    payload: { cellId },
    merge: { tag: `status:${cellId}`, fold: (waiting) => waiting },
    maxAttempts: 30,
  }),
};

function ruled({ repository, rules, baseRef, baseCommit }: Cell, user: User) {
  return { repository, rules: rules === null ? null : { ...rules }, baseRef, baseCommit, user };
}
