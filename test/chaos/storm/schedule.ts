import { type Aim, aimAt, STEPS, WINDOWS } from "./aims.ts";
import type { Dice } from "./dice.ts";

export const AT_RANDOM = "at a random instant";
/** Of all lives, those that end at no place in particular. */
const RANDOM_SHARE = 0.3;
/** How many of those that were hit least are drawn from. */
const DRAWN_FROM = 4;

export const GOALS: readonly string[] = [...WINDOWS, ...Object.keys(STEPS)];

/** Chooses how each life of Lazarus is to end, and counts what was hit: what was hit least is aimed at next. */
export class Schedule {
  readonly hits = new Map<string, number>();
  readonly #tries = new Map<string, number>();
  readonly #dice: Dice;
  readonly #goals: readonly string[];

  /** `first` are aimed at before all others. */
  constructor(dice: Dice, first: readonly string[] = []) {
    this.#dice = dice;
    this.#goals = [...first, ...GOALS.filter((goal) => !first.includes(goal))];
    for (const [index, goal] of first.entries()) this.#tries.set(goal, index - 1_000);
  }

  next(): Aim {
    const isFirst = [...this.#tries.values()].some((tries) => tries < 0);
    if (!isFirst && this.#dice.chance(RANDOM_SHARE)) return { goal: AT_RANDOM, doom: null, act: null };
    const score = (goal: string) => 2 * (this.hits.get(goal) ?? 0) + (this.#tries.get(goal) ?? 0);
    const sorted = [...this.#goals].sort((a, b) => score(a) - score(b));
    const goal = isFirst ? (sorted[0] ?? AT_RANDOM) : this.#dice.pick(sorted.slice(0, DRAWN_FROM));
    this.#tries.set(goal, Math.max(0, this.#tries.get(goal) ?? 0) + 1);
    return aimAt(goal, this.#dice);
  }

  hit(goals: Iterable<string>): void {
    for (const goal of new Set(goals)) this.hits.set(goal, (this.hits.get(goal) ?? 0) + 1);
  }

  /** Which of these no kill fell into. */
  missing(of: readonly string[]): string[] {
    return of.filter((goal) => (this.hits.get(goal) ?? 0) === 0);
  }
}
