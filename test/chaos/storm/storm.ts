import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { E2eServer } from "../../e2e/servers.ts";
import type { Aim } from "./aims.ts";
import { compareAnswers } from "./answers.ts";
import { aggravate, Bystander, hasLivingRun } from "./between.ts";
import { Dice } from "./dice.ts";
import { Ledger } from "./ledger.ts";
import { lookForLeftovers } from "./leftovers.ts";
import { Coroner } from "./obituary.ts";
import { peek } from "./peek.ts";
import { People } from "./people.ts";
import { isWell, type Report } from "./report.ts";
import { comeToRest } from "./rest.ts";
import { AT_RANDOM, Schedule } from "./schedule.ts";
import type { End } from "./victim.ts";
import { Weather } from "./weather.ts";
import { lookAtWork } from "./work.ts";
import { MOVING_BASE, makeWorld, type World } from "./world.ts";

/** A life that was to end somewhere, and does not, ends after this long. */
const AIM_MS = 7_000;
/** Where an agent must have found its place in line and be at work for a while. */
const SLOW_AIM_MS = 18_000;
const SLOW_ACTS: readonly (string | null)[] = [
  ...["stay", "stay elsewhere", "overrun", "flood", "crowd"],
  ...["request changes", "tell", "team", "invite"],
];
/** What was on its way when Lazarus died has arrived after this long. */
const SETTLE_MS = 80;
const LOOK_MS = 20;
/** A job that was begun so often is let through, for at most so long. */
const KILLED_OFTEN = 5;
const LET_THROUGH_MS = 20_000;
/** So many times as long a storm lasts while something is missing that it must hit: machines are busy. */
const EXTENSION = 3;

export interface StormOptions {
  /** Starts the forge. */
  readonly server: () => Promise<E2eServer>;
  readonly seed: string;
  /** Of storm; coming to rest is not counted. */
  readonly seconds: number;
  /** Between two things that people do: at least, at most. */
  readonly gapMs: readonly [number, number];
  /** How many cells are closed or destroyed in the last round, when nothing goes wrong any more. */
  readonly tidied: number;
  /** It ends earlier after so many. */
  readonly kills: number | null;
  /** `lost`: what was dropped is never brought again, and must be found by asking the forge. */
  readonly deliveries: "brought" | "lost";
  /** Steps and crash windows that must be hit; these are aimed at first. */
  readonly required: readonly string[];
  /** It has come to rest, or never will, when nothing came to its end for so long. */
  readonly restMs: number;
  /** Where everything is copied to when it did not end well; null: nowhere. */
  readonly keep: string | null;
  readonly say: (line: string) => void;
  /** Aborted, the storm is over at once, and comes to rest. */
  readonly signal?: AbortSignal;
}

/**
 * Lets a storm loose on a world of its own, lets it come to rest, and compares what was asked with what there
 * is.
 */
export async function storm(options: StormOptions): Promise<Report> {
  const dice = new Dice(options.seed);
  const world = await makeWorld(dice, options.server);
  const one = new Storm(world, options, dice);
  try {
    await one.rage();
    await one.rest();
    const report = await one.compare();
    if (options.keep !== null && !isWell(report)) one.keep(options.keep);
    return report;
  } finally {
    await one.end();
  }
}

class Storm {
  readonly #world: World;
  readonly #options: StormOptions;
  readonly #dice: Dice;
  readonly #ledger = new Ledger();
  readonly #people: People;
  readonly #weather: Weather;
  readonly #schedule: Schedule;
  readonly #coroner: Coroner;
  readonly #bystander = new Bystander();
  readonly #faults: string[] = [];
  #kills = 0;
  #atRandom = 0;
  #beganAt = performance.now();

  constructor(world: World, options: StormOptions, dice: Dice) {
    this.#world = world;
    this.#options = options;
    this.#dice = dice.fork("storm");
    this.#people = new People(world, this.#ledger, dice.fork("people"));
    this.#coroner = new Coroner(world);
    this.#weather = new Weather(world, dice.fork("weather"));
    this.#schedule = new Schedule(dice.fork("schedule"), options.required);
  }

  /** Lives and deaths, until the time is over or enough were killed. */
  async rage(): Promise<void> {
    const { proxy, victim } = this.#world;
    await this.#firstLife();
    proxy.faultRate = 0.06;
    this.#beganAt = performance.now();
    const gaps = (low: number, high: number) => () => this.#dice.between(low, high);
    const living = [this.#people.live(gaps(...this.#options.gapMs)), this.#weather.blow(gaps(700, 2_500))];
    while (!this.#isOver()) await this.#liveAndDie(this.#schedule.next());
    this.#people.stop();
    this.#weather.calm();
    await Promise.all(living);
    proxy.faultRate = 0;
    await victim.end();
  }

  #isOver(): boolean {
    const { seconds, kills, required, signal } = this.#options;
    if (signal?.aborted) return true;
    if (kills !== null && this.#kills >= kills) return true;
    const lasted = performance.now() - this.#beganAt;
    const isMissed = this.#schedule.missing(required).length > 0;
    return lasted > seconds * 1_000 * (isMissed ? EXTENSION : 1);
  }

  /** Deliveries from before the first start of a registry are never run: it must have been ready once. */
  async #firstLife(): Promise<void> {
    const { victim, lazarus } = this.#world;
    const ended = victim.start(null);
    for (;;) {
      const ready = await fetch(`http://${lazarus.listen}/readyz`).catch(() => null);
      if (ready?.status === 200) break;
      if (!victim.isAlive) throw new Error(`lazarus did not start: ${victim.log}`);
      await pause(LOOK_MS);
    }
    // The forge's clock has seconds: what is typed in the same one is from before.
    await pause(1_100);
    await victim.end();
    await ended;
  }

  async #liveAndDie(aim: Aim): Promise<void> {
    const { victim, proxy } = this.#world;
    proxy.unheard = 0;
    const ended = victim.start(aim.doom);
    const aimMs = SLOW_ACTS.includes(aim.act) ? SLOW_AIM_MS : AIM_MS;
    const limitMs = aim.goal === AT_RANDOM ? this.#dice.between(30, 3_500) : aimMs;
    const end = await this.#until(aim, limitMs, ended);
    proxy.ambush = null;
    if (end.signal !== "SIGKILL") return this.#endedByItself(end);
    this.#kills++;
    if (aim.goal === AT_RANDOM) this.#atRandom++;
    await pause(SETTLE_MS);
    const obituary = await this.#coroner.examine(end);
    const more = await aggravate(this.#world, aim.also, this.#bystander);
    const hits = [...obituary.steps, ...obituary.windows, ...(more === null ? [] : [more])];
    this.#schedule.hit(hits);
    for (const fault of obituary.faults) this.#faults.push(`after kill ${this.#kills}: ${fault}`);
    this.#options.say(`kill ${this.#kills} (${aim.goal}): ${hits.join(", ") || "between all steps"}`);
  }

  /** Waits until the life has ended, by its doom, by the proxy's ambush, or by us. */
  async #until(aim: Aim, limitMs: number, ended: Promise<End>): Promise<End> {
    const { victim, proxy } = this.#world;
    const end = performance.now() + limitMs;
    let isWished = false;
    while (victim.isAlive && performance.now() < end) {
      if (!isWished && victim.listens) {
        isWished = true;
        this.#people.wish(aim.act);
        if (aim.ambush !== undefined) proxy.ambush = { ...aim.ambush, sprung: () => void victim.end() };
      }
      const base = aim.also === "rewrite the base" ? MOVING_BASE : null;
      if (aim.also !== undefined && isWished && hasLivingRun(this.#world, base)) break;
      await pause(LOOK_MS);
    }
    await this.#letThrough();
    await victim.end();
    return ended;
  }

  /**
   * What was killed again and again is let through: Lazarus gives up what seems to kill it, and on a busy
   * machine no job that takes long would ever be done in lives so short.
   */
  async #letThrough(): Promise<void> {
    const { victim, dataDir } = this.#world;
    const end = performance.now() + LET_THROUGH_MS;
    const stuck = () =>
      peek(dataDir, (ask) =>
        ask("SELECT 1 FROM jobs WHERE state = 'running' AND attempt >= ?", KILLED_OFTEN),
      );
    const isStuck = () => (stuck() ?? []).length > 0;
    while (victim.isAlive && performance.now() < end && isStuck()) await pause(LOOK_MS);
  }

  /** Also where the disk is full it waits, and goes on. */
  async #endedByItself(end: End): Promise<void> {
    const said = this.#world.victim.log.split("\n").slice(-4).join(" ");
    this.#faults.push(`it ended by itself with ${end.code ?? end.signal}: ${said}`);
    await pause(200);
  }

  /** No more faults; what was dropped is brought, what waits is waited for. */
  async rest(): Promise<void> {
    const { victim, postman } = this.#world;
    const { restMs, deliveries, say } = this.#options;
    say(`the storm is over after ${this.#kills} kills; coming to rest`);
    postman.isCalm = true;
    void victim.start(null);
    while (!victim.listens && victim.isAlive) await pause(LOOK_MS);
    const settle = async () => {
      while (!postman.isIdle) await pause(LOOK_MS);
      if (deliveries === "brought") await postman.bringAll();
      for (const open of await comeToRest(this.#world, this.#weather.clock, restMs))
        this.#faults.push(`not at rest: ${open}`);
    };
    await settle();
    if (this.#faults.length === 0) {
      await this.#people.tidyUp(this.#options.tidied);
      await pause(1_000);
      await settle();
    }
    if (!victim.isAlive) this.#faults.push(`it ended by itself at the end: ${victim.log.slice(-300)}`);
    if (!this.#bystander.isAlive) this.#faults.push("somebody who had nothing to do with it was killed");
  }

  async compare(): Promise<Report> {
    const { proxy, postman, disk, server } = this.#world;
    const answers = await compareAnswers(this.#world, this.#ledger);
    const leftovers = await lookForLeftovers(this.#world);
    const work = await lookAtWork(this.#world, this.#ledger);
    return {
      ...{
        seed: this.#options.seed,
        seconds: this.#options.seconds,
        kills: this.#kills,
        atRandom: this.#atRandom,
      },
      server: `${server.name} ${server.version}`,
      disk: disk.what,
      hits: this.#schedule.hits,
      required: this.#options.required,
      missing: this.#schedule.missing(this.#options.required),
      faults: { forge: proxy.tally, deliveries: postman.tally, weather: this.#weather.tally },
      requests: proxy.requests,
      deliveries: { all: postman.all, never: postman.lost },
      acts: this.#people.tally,
      commands: this.#ledger.commands,
      withdrawn: answers.withdrawn,
      lost: [...answers.lost, ...work.lost],
      doubled: [...answers.doubled, ...leftovers.doubled, ...work.doubled],
      left: [...this.#faults, ...answers.wrong, ...leftovers.left, ...work.left],
    };
  }

  /** Copies the registry, the missions and the log, for whoever wants to know why. */
  keep(dir: string): void {
    cpSync(this.#world.disk.dir, dir, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(dir, "serve.log"), this.#world.victim.log);
  }

  async end(): Promise<void> {
    this.#people.stop();
    this.#weather.calm();
    this.#bystander.end();
    await this.#world.victim.end();
    await this.#world.remove();
  }
}
