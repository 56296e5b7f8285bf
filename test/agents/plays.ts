import type { ExitClass } from "../../src/cells/exit.ts";
import type { Play } from "./model/script.ts";

/** What is expected of one run of an agent. */
export interface Expected {
  readonly play: Play;
  /** As people read the table. */
  readonly title: string;
  readonly classes: readonly ExitClass[];
  /** How many commands the model had run; null: it was not let. */
  readonly commands: number | null;
  readonly commits: number;
  readonly isResumed: boolean;
}

const ALONE = { commands: null, commits: 0, isResumed: false } as const;

export const EXPECTED: Readonly<Record<Play, Expected>> = {
  work: { play: "work", title: "work", classes: ["done"], commands: 5, commits: 1, isResumed: false },
  again: { play: "again", title: "revived", classes: ["done"], commands: 1, commits: 2, isResumed: true },
  question: {
    play: "question",
    title: "question",
    classes: ["question"],
    commands: 1,
    commits: 0,
    isResumed: false,
  },
  answer: { play: "answer", title: "answered", classes: ["done"], commands: 1, commits: 1, isResumed: true },
  unauthorized: { ...ALONE, play: "unauthorized", title: "401", classes: ["not-logged-in"] },
  limited: { ...ALONE, play: "limited", title: "429", classes: ["quota"] },
  "no-credit": { ...ALONE, play: "no-credit", title: "no credit", classes: ["no-credit"] },
  // Whether it gives up by itself or at its clock is the agent's to choose.
  overloaded: { ...ALONE, play: "overloaded", title: "overloaded", classes: ["crashed", "over-limit"] },
  hang: { ...ALONE, play: "hang", title: "hang", classes: ["over-limit"] },
};

/** What was seen of one run. */
export interface Seen {
  readonly agent: string;
  readonly version: string;
  readonly backend: string;
  readonly play: Play;
  readonly exit: string;
  readonly commands: number;
  readonly commits: number;
  readonly isResumed: boolean;
  /** What people read of it first. */
  readonly words: string;
  /** For whoever looks why it went wrong. */
  readonly logEnd: string;
  /** What else is wrong. */
  readonly faults: readonly string[];
}

/** What is wrong with a run, in words; an empty list: nothing. */
export function wrongIn(seen: Seen): string[] {
  const wanted = EXPECTED[seen.play];
  const wrong = [...seen.faults];
  if (!wanted.classes.some((one) => one === seen.exit))
    wrong.push(`is ${seen.exit} instead of ${wanted.classes.join(" or ")}`);
  if (wanted.commands !== null && seen.commands !== wanted.commands)
    wrong.push(`ran ${seen.commands} commands instead of ${wanted.commands}`);
  if (seen.commits !== wanted.commits)
    wrong.push(`made ${seen.commits} commits instead of ${wanted.commits}`);
  if (seen.isResumed !== wanted.isResumed)
    wrong.push(wanted.isResumed ? "began anew" : "went on with another session");
  return wrong;
}
