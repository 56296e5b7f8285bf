import { setTimeout as pause } from "node:timers/promises";
import { killAnAgent } from "./between.ts";
import type { Dice } from "./dice.ts";
import type { World } from "./world.ts";

const KINDS = { nothing: 4, "disk full": 2, "clock forward": 2, "clock back": 2, "agent killed": 4 } as const;
const HOUR_MS = 60 * 60_000;
/** Clocks that differ from the forge's by more than a day are another matter. */
const MOST_OFF_MS = 10 * HOUR_MS;

/**
 * What happens around Lazarus while it lives and dies: the disk fills, the clock jumps, agents are killed.
 */
export class Weather {
  readonly tally = new Map<string, number>();
  readonly clock = { ms: 0 };
  isDiskFull = false;
  readonly #world: World;
  readonly #dice: Dice;
  #isCalm = false;

  constructor(world: World, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
  }

  async blow(gapMs: () => number): Promise<void> {
    while (!this.#isCalm) {
      await pause(gapMs());
      if (!this.#isCalm) await this.#one();
    }
  }

  /** The disk has room again; the clock stays as it is. */
  calm(): void {
    this.#isCalm = true;
    this.#freeDisk();
  }

  async #one(): Promise<void> {
    const kind = this.#dice.weighted(KINDS);
    switch (kind) {
      case "nothing":
        return;
      case "disk full":
        this.#count(kind);
        this.#world.disk.fill();
        this.isDiskFull = true;
        await pause(this.#dice.between(300, 1_500));
        return this.#freeDisk();
      case "clock forward":
      case "clock back": {
        const jump = this.#dice.between(HOUR_MS / 4, 4 * HOUR_MS) * (kind === "clock back" ? -1 : 1);
        if (Math.abs(this.clock.ms + jump) > MOST_OFF_MS) return;
        this.#count(kind);
        this.clock.ms += jump;
        return this.#world.setClock(this.clock.ms);
      }
      case "agent killed": {
        const killed = killAnAgent(this.#world, this.#dice);
        if (killed !== null) this.#count(killed);
        return;
      }
      default:
        return kind satisfies never;
    }
  }

  #freeDisk(): void {
    if (!this.isDiskFull) return;
    this.#world.disk.free();
    this.isDiskFull = false;
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }
}
