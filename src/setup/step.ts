import type { Made, SetupRecord } from "./record.ts";

/** How something that is to be there stands before set-up acts. */
export type State = "there" | "make" | "change" | "yours";

/** One thing that set-up wants to be there. */
export interface Step {
  readonly what: string;
  readonly state: State;
  /** More about it; for `yours`: what to do. */
  readonly detail: string;
  /** Set-up does it where it is lent an administrator's token. */
  readonly isForAdmin?: true;
  /** Makes or changes it; what it makes is in the record before and after. Answers more for people. */
  run?(): Promise<string | undefined>;
}

export const there = (what: string, detail = ""): Step => ({ what, state: "there", detail });
export const yours = (what: string, detail: string): Step => ({ what, state: "yours", detail });
/** What set-up does too, where it is lent an administrator's token. */
export const yoursAsAdmin = (what: string, detail: string): Step => ({
  ...yours(what, detail),
  isForAdmin: true,
});

/** Before: `+ make`; after: `+ made`. */
export const MARKS: Readonly<Record<State, readonly [mark: string, before: string, after: string]>> = {
  there: ["✓", "there", "there"],
  make: ["+", "make", "made"],
  change: ["~", "change", "changed"],
  yours: ["!", "yours to do", "yours to do"],
};

/** `+ made  hook on acme/app`. */
export function lineOf(step: Pick<Step, "what" | "state" | "detail">, isDone: boolean): string {
  const [mark, before, after] = MARKS[step.state];
  const word = (isDone ? after : before).padEnd(11);
  return `${mark} ${word} ${step.what}${step.detail === "" ? "" : `: ${step.detail}`}`;
}

/** Writes down what is about to be made, makes it, and writes down its number. */
export async function making(
  record: SetupRecord,
  one: Made,
  make: () => Promise<number | null>,
): Promise<void> {
  record.keep(one);
  const id = await make();
  if ("id" in one) record.keep({ ...one, id });
}
