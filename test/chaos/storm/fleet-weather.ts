import { setTimeout as pause } from "node:timers/promises";
import type { Gate } from "../gate.ts";
import type { Dice } from "./dice.ts";
import type { Fleet } from "./fleet.ts";
import { hasSuspects } from "./runner-lives.ts";
import type { World } from "./world.ts";

const KINDS = {
  nothing: 2,
  "Redis emptied": 3,
  "Redis killed, and begun empty": 3,
  "Redis paused": 2,
  "Redis stood still": 2,
  "Redis restored from an old dump": 3,
  "a runner stood still": 4,
  "a runner cut off from Redis": 4,
  "a runner cut off from the git gate": 4,
  "all runners killed at once": 1,
} as const;
export const FLEET_FAULTS: readonly string[] = Object.keys(KINDS).filter((kind) => kind !== "nothing");

/** What happens between control and its runners while they live and die. */
export class FleetWeather {
  readonly tally = new Map<string, number>();
  readonly #world: World;
  readonly #fleet: Fleet;
  readonly #dice: Dice;
  /** Each of these comes once before dice are thrown. */
  readonly #first: string[];
  #hasDump = false;
  #isCalm = false;

  constructor(world: World, fleet: Fleet, { dice, first }: { dice: Dice; first: readonly string[] }) {
    this.#world = world;
    this.#fleet = fleet;
    this.#dice = dice;
    this.#first = FLEET_FAULTS.filter((kind) => first.includes(kind));
  }

  async blow(gapMs: () => number): Promise<void> {
    while (!this.#isCalm) {
      await pause(gapMs());
      if (!this.#isCalm) await this.#one();
    }
  }

  /** Each fault is over within seconds of its beginning: {@link blow} ends when it is. */
  calm(): void {
    this.#isCalm = true;
  }

  async #one(): Promise<void> {
    const kind = (this.#first.shift() as keyof typeof KINDS | undefined) ?? this.#dice.weighted(KINDS);
    if (kind === "nothing" || (kind === "all runners killed at once" && hasSuspects(this.#world))) return;
    await this.#bringAbout(kind);
    this.tally.set(kind, (this.tally.get(kind) ?? 0) + 1);
  }

  async #bringAbout(kind: Exclude<keyof typeof KINDS, "nothing">): Promise<void> {
    const { redis, runners } = this.#fleet;
    const somewhat = this.#dice.between(300, 4_000);
    switch (kind) {
      case "Redis emptied":
        await redis.ask("FLUSHALL");
        return;
      case "Redis killed, and begun empty":
        await redis.kill();
        await pause(somewhat);
        return redis.begin();
      case "Redis paused":
        await redis.ask(`CLIENT PAUSE ${somewhat} ALL`);
        return pause(somewhat);
      case "Redis stood still":
        redis.signal("SIGSTOP");
        await pause(somewhat);
        return redis.signal("SIGCONT");
      case "Redis restored from an old dump":
        if (!this.#hasDump) await redis.dump();
        this.#hasDump = true;
        await pause(somewhat);
        await redis.restore();
        // The next one is another time's.
        if (this.#dice.chance(0.5)) await redis.dump();
        return;
      case "a runner stood still": {
        const { victim } = this.#dice.pick(runners);
        victim.signal("SIGSTOP");
        await pause(somewhat);
        return victim.signal("SIGCONT");
      }
      case "a runner cut off from Redis":
        return this.#cut(this.#dice.pick(runners).ways.redis, 3 * somewhat);
      case "a runner cut off from the git gate":
        return this.#cut(this.#dice.pick(runners).ways.git, 3 * somewhat);
      case "all runners killed at once":
        return this.#fleet.killAll();
      default:
        return kind satisfies never;
    }
  }

  /** The network between two machines is cut; what is connected may be gone once it is mended. */
  async #cut(way: Gate, ms: number): Promise<void> {
    way.hold();
    await pause(ms);
    if (this.#dice.chance(0.5)) {
      await way.shut();
      await way.reopen();
    }
    way.release();
  }
}
