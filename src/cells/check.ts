import * as z from "zod";
import { sha256 } from "../hash.ts";
import { type PlannedCheck, plannedCheck } from "../protocol/checks.ts";

/**
 * `passed`: exit 0. `failed`: another exit. `broken`: it could not be run. `timed-out`: over its limit.
 * `stopped`: by a person. `lost`: it left no exit record. `superseded`: a run began, and what that leaves is
 * checked.
 */
export const CHECK_STATES = [
  ...(["waiting", "running", "passed", "failed", "broken"] as const),
  ...(["timed-out", "stopped", "lost", "superseded"] as const),
] as const;
export type CheckState = (typeof CHECK_STATES)[number];

export const SIDES = ["tip", "base"] as const;
export type Side = (typeof SIDES)[number];

/** One execution of a check, or of the setup before it, on what a cell pushed or on its base. */
export interface Check {
  readonly cellId: string;
  /** Counts up in its cell. */
  readonly n: number;
  /** What was pushed. */
  readonly tip: string;
  /** `setup`, or the check's name. */
  readonly name: string;
  readonly side: Side;
  /** On which commit it runs: the tip, or the base. */
  readonly commit: string;
  /** Of the command and of the setup before it: the same says the same of the same commit. */
  readonly basis: string;
  /** Whose isolation it has. */
  readonly agent: string;
  readonly state: CheckState;
  readonly handle: Readonly<Record<string, unknown>> | null;
  readonly startedAt: number | null;
  readonly limitMs: number | null;
  readonly endedAt: number | null;
  readonly code: number | null;
  /** Why it is not simply passed or failed, in words: `over its limit of 10m`. */
  readonly why: string | null;
  /** The end of its output, redacted; empty where it went well. */
  readonly tail: string;
  readonly refusedHosts: readonly string[];
  readonly leftovers: readonly string[];
}

/** What is to be run on a cell's tip, and why it is not all that. */
export const checked = z.object({
  tip: z.string(),
  /** The setup first, where there is one. */
  plan: z.array(plannedCheck),
  faults: z.array(z.object({ name: z.string(), why: z.string() })),
  /** Why nothing can be run. */
  trouble: z.string().nullable(),
  /** Who ended them before they were through: `stopped by dev`. */
  stopped: z.string().nullable(),
});
export type Checked = z.infer<typeof checked>;

/** What stands for a setup among the names of checks: none can be called so. */
export const SETUP = "setup";

/** How often one that nobody saw end is begun. */
const MOST_BEGUN = 2;

/** What the result of a command depends on besides the files: itself, and the setup before it. */
export function basisOf(checked: Pick<Checked, "plan">, one: Pick<PlannedCheck, "name" | "digest">): string {
  const setup = checked.plan.find(({ name }) => name === SETUP);
  return setup === undefined || one.name === SETUP ? one.digest : sha256(`${setup.digest} ${one.digest}`);
}

/** What has been begun for a tip, and what is known of its base. */
export interface CheckWork {
  /** Of this tip, in the order in which they were begun. */
  readonly rows: readonly Check[];
  /** What a command is known to have come to on the base; null: nothing. */
  known(basis: string): Pick<Check, "state"> | null;
}

/** What is to be run next. */
export interface NextCheck {
  readonly plan: PlannedCheck;
  readonly side: Side;
}

/**
 * What is to be run next for a tip: the setup, each check, and each that failed once more on the base, where
 * it is not known yet what it comes to there. Null where nothing is left, or one is at work. Pure.
 */
export function nextCheck(checked: Checked, work: CheckWork): NextCheck | null {
  if (checked.trouble !== null || checked.stopped !== null) return null;
  if (work.rows.some(isAtWork)) return null;
  const [setup, checks] = splitPlan(checked);
  const due = (plan: PlannedCheck, side: Side) => {
    const begun = work.rows.filter((row) => row.name === plan.name && row.side === side && isValid(row));
    return begun.every((row) => row.state === "lost") && begun.length < MOST_BEGUN;
  };
  if (setup !== null && due(setup, "tip")) return { plan: setup, side: "tip" };
  if (setup !== null && resultOn(setup, "tip", work)?.state !== "passed") return null;
  const first = checks.find((one) => due(one, "tip"));
  if (first !== undefined) return { plan: first, side: "tip" };
  const failed = checks.find(
    (one) =>
      resultOn(one, "tip", work)?.state === "failed" &&
      work.known(basisOf(checked, one)) === null &&
      due(one, "base"),
  );
  if (failed === undefined) return null;
  if (setup !== null && due(setup, "base")) return { plan: setup, side: "base" };
  if (setup !== null && resultOn(setup, "base", work)?.state !== "passed") return null;
  return { plan: failed, side: "base" };
}

/** Whether it is being run, or about to be. */
export function isAtWork(check: Pick<Check, "state">): boolean {
  return check.state === "waiting" || check.state === "running";
}

/** Whether it says something of what was pushed: no run has begun since. */
export function isValid(check: Pick<Check, "state">): boolean {
  return check.state !== "superseded";
}

function splitPlan({ plan }: Pick<Checked, "plan">): [PlannedCheck | null, PlannedCheck[]] {
  const setup = plan.find(({ name }) => name === SETUP) ?? null;
  return [setup, plan.filter(({ name }) => name !== SETUP)];
}

function resultOn({ name }: PlannedCheck, side: Side, { rows }: CheckWork): Check | null {
  return rows.findLast((row) => row.name === name && row.side === side && isValid(row)) ?? null;
}

/** What came of one check of a tip. */
export interface CheckResult {
  readonly name: string;
  /** `lost` only where it is not begun once more. */
  readonly state: Exclude<CheckState, "superseded">;
  readonly code: number | null;
  /** What it took, ms; null where it did not run. */
  readonly tookMs: number | null;
  readonly why: string | null;
  /** What the same command comes to on the base; null: nobody has run it there. */
  readonly onBase: "passed" | "failed" | null;
  readonly command: string | null;
  readonly source: string | null;
  readonly tail: string;
  /** Whose log it is, by its number; null: there is none. */
  readonly n: number | null;
}

/** What came of each check so far, in their order, with those that cannot be run. Pure. */
export function resultsOf(checked: Checked, work: CheckWork): CheckResult[] {
  const [setup, checks] = splitPlan(checked);
  const notSetUp = setup === null ? null : brokenSetup(resultOn(setup, "tip", work));
  const nothing = { code: null, tookMs: null, onBase: null, tail: "", n: null } as const;
  const ran = checks.map((plan): CheckResult => {
    const { name, command, source } = plan;
    const row = resultOn(plan, "tip", work);
    if (row === null) {
      const why = notSetUp?.why ?? checked.stopped;
      const state = notSetUp !== null ? "broken" : checked.stopped !== null ? "stopped" : "waiting";
      return { ...nothing, ...{ name, command, source, state, why, tail: notSetUp?.tail ?? "" } };
    }
    const { state, code, why, tail, n, startedAt, endedAt } = row;
    const known = work.known(basisOf(checked, plan))?.state;
    return {
      ...{ name, command, source, code, why, tail, n },
      state: state === "superseded" ? "waiting" : state,
      tookMs: startedAt === null || endedAt === null ? null : endedAt - startedAt,
      onBase: state === "failed" && (known === "passed" || known === "failed") ? known : null,
    };
  });
  const faulty = checked.faults.map(({ name, why }): CheckResult => {
    return { ...nothing, ...{ name, why }, state: "broken", command: null, source: null };
  });
  return [...ran, ...faulty];
}

function brokenSetup(row: Check | null): { readonly why: string; readonly tail: string } | null {
  if (row === null || isAtWork(row) || row.state === "passed") return null;
  const how = row.why ?? (row.code === null ? row.state : `exit ${row.code}`);
  return { why: `its setup failed: ${how}`, tail: row.tail };
}

/** How long what was run for a tip took so far, ms. */
export function spentOn(rows: readonly Check[]): number {
  return rows.reduce(
    (sum, { startedAt, endedAt }) => sum + (startedAt === null ? 0 : (endedAt ?? startedAt) - startedAt),
    0,
  );
}
