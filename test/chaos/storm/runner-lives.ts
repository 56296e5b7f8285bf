import { setTimeout as pause } from "node:timers/promises";
import type { Aim } from "./aims.ts";
import type { Dice } from "./dice.ts";
import type { Fleet } from "./fleet.ts";
import { RunnerCoroner } from "./obituary.ts";
import { peek } from "./peek.ts";
import type { People } from "./people.ts";
import { AT_RANDOM, type Schedule } from "./schedule.ts";
import type { World } from "./world.ts";

const LOOK_MS = 20;
const AIM_MS = 12_000;
const RANDOM_MS = [1_000, 12_000] as const;
/** Between a death and the next life; now and then it stays away until its cells are told of it. */
const AWAY_MS = [0, 2_000] as const;
const LONG_AWAY_MS = [3_000, 7_000] as const;
/**
 * What killed its runner so often, as it seems, is let through: control counts only when the next life has
 * joined, so the one that has begun may be one more; at three it is given up.
 */
const SUSPECT = 1;
const LET_THROUGH_MS = 60_000;

/** Lives and deaths of the runners of a storm, each by itself, while control has its own. */
export class RunnerLives {
  readonly kills = new Map<string, number>();
  readonly faults: string[] = [];
  atRandom = 0;
  readonly #world: World;
  readonly #fleet: Fleet;
  readonly #dice: Dice;
  readonly #people: People;
  readonly #schedule: Schedule;
  readonly #say: (line: string) => void;
  #isCalm = false;

  constructor(at: {
    readonly world: World;
    readonly fleet: Fleet;
    readonly dice: Dice;
    readonly people: People;
    readonly schedule: Schedule;
    readonly say: (line: string) => void;
  }) {
    this.#world = at.world;
    this.#fleet = at.fleet;
    this.#dice = at.dice;
    this.#people = at.people;
    this.#schedule = at.schedule;
    this.#say = at.say;
  }

  get count(): number {
    return [...this.kills.values()].reduce((sum, n) => sum + n, 0);
  }

  get hits(): ReadonlyMap<string, number> {
    return this.#schedule.hits;
  }

  async live(): Promise<void> {
    await Promise.all(this.#fleet.runners.map((runner) => this.#live(runner)));
  }

  /** None is killed any more; whoever is dead stays so until {@link begin}. */
  calm(): void {
    this.#isCalm = true;
  }

  /** All live, for good. */
  async begin(): Promise<void> {
    for (const { name, victim } of this.#fleet.runners) {
      if (victim.isAlive) continue;
      void victim.start(null);
      while (!victim.listens && victim.isAlive) await pause(LOOK_MS);
      if (!victim.isAlive) this.faults.push(`${name} did not start: ${victim.log.slice(-300)}`);
    }
  }

  async #live(runner: Fleet["runners"][number]): Promise<void> {
    const { name, victim } = runner;
    const coroner = new RunnerCoroner(this.#world, runner);
    while (!this.#isCalm) {
      const aim = hasSuspects(this.#world)
        ? { goal: AT_RANDOM, doom: null, act: null }
        : this.#schedule.next();
      const ended = victim.start(aim.doom);
      await this.#until(aim, victim);
      const end = await ended;
      if (end.signal !== "SIGKILL") {
        this.faults.push(`${name} ended by itself with ${end.code ?? end.signal}: ${victim.log.slice(-300)}`);
        await pause(LOOK_MS);
        continue;
      }
      this.kills.set(name, (this.kills.get(name) ?? 0) + 1);
      if (aim.goal === AT_RANDOM) this.atRandom++;
      const { steps, windows } = await coroner.examine(end);
      this.#schedule.hit([...steps, ...windows]);
      this.#say(`kill of ${name} (${aim.goal}): ${[...steps, ...windows].join(", ") || "between all steps"}`);
      const [low, high] = this.#dice.chance(0.15) ? LONG_AWAY_MS : AWAY_MS;
      if (!this.#isCalm) await pause(this.#dice.between(low, high));
    }
  }

  async #until(aim: Aim, victim: Fleet["runners"][number]["victim"]): Promise<void> {
    const end = performance.now() + (aim.goal === AT_RANDOM ? this.#dice.between(...RANDOM_MS) : AIM_MS);
    let isWished = false;
    while (victim.isAlive && performance.now() < end && !this.#isCalm) {
      if (!isWished && victim.listens) {
        isWished = true;
        this.#people.wish(aim.act);
      }
      await pause(LOOK_MS);
    }
    const last = performance.now() + LET_THROUGH_MS;
    while (victim.isAlive && performance.now() < last && !this.#isCalm && hasSuspects(this.#world))
      await pause(LOOK_MS);
    await victim.end();
  }
}

/** Whether some job seems to kill its runner. */
export function hasSuspects({ dataDir }: Pick<World, "dataDir">): boolean {
  const rows = peek(dataDir, (ask) =>
    ask(
      "SELECT 1 FROM jobs WHERE state IN ('waiting', 'running') AND json_extract(notes, '$.kills') >= ?",
      SUSPECT,
    ),
  );
  return (rows ?? []).length > 0;
}
