import { type Aim, aimAt, STEPS, WINDOWS } from "./aims.ts";
import type { Dice } from "./dice.ts";

export const AT_RANDOM = "at a random instant";
/** Of all lives, those that end at no place in particular. */
const RANDOM_SHARE = 0.3;
/** How many of those that were hit least are drawn from. */
const DRAWN_FROM = 4;

export const GOALS: readonly string[] = [...WINDOWS, ...Object.keys(STEPS)];

/** What a process is killed at, and how. */
export interface Targets {
  readonly goals: readonly string[];
  aimAt(goal: string, dice: Dice): Aim;
}
const ALL: Targets = { goals: GOALS, aimAt };

/**
 * Chooses how each life of Lazarus is to end, and counts what was hit: what was hit least is aimed at next.
 */
export class Schedule {
  readonly hits = new Map<string, number>();
  readonly #tries = new Map<string, number>();
  readonly #dice: Dice;
  readonly #first: readonly string[];
  readonly #targets: Targets;

  /** `first` are aimed at before all others, until they are hit. */
  constructor(dice: Dice, first: readonly string[] = [], targets = ALL) {
    this.#dice = dice;
    this.#targets = targets;
    this.#first = first.filter((goal) => targets.goals.includes(goal));
  }

  next(): Aim {
    const missing = this.missing(this.#first);
    const [wanted] = missing.sort((a, b) => this.#triesOf(a) - this.#triesOf(b));
    if (wanted === undefined && this.#dice.chance(RANDOM_SHARE))
      return { goal: AT_RANDOM, doom: null, act: null };
    const score = (goal: string) => 2 * (this.hits.get(goal) ?? 0) + this.#triesOf(goal);
    const least = [...this.#targets.goals].sort((a, b) => score(a) - score(b)).slice(0, DRAWN_FROM);
    const goal = wanted ?? this.#dice.pick(least);
    this.#tries.set(goal, this.#triesOf(goal) + 1);
    return this.#targets.aimAt(goal, this.#dice);
  }

  #triesOf(goal: string): number {
    return this.#tries.get(goal) ?? 0;
  }

  hit(goals: Iterable<string>): void {
    for (const goal of new Set(goals)) this.hits.set(goal, (this.hits.get(goal) ?? 0) + 1);
  }

  /** Which of these no kill fell into. */
  missing(of: readonly string[]): string[] {
    return of.filter((goal) => (this.hits.get(goal) ?? 0) === 0);
  }
}
