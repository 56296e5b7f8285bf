import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { E2eServer } from "../../e2e/servers.ts";
import type { Aim } from "./aims.ts";
import { compareAnswers } from "./answers.ts";
import { aggravate, Bystander, hasLivingRun } from "./between.ts";
import { Dice } from "./dice.ts";
import { aimAtControl, aimAtRunner, CONTROL_GOALS, FLEET_WINDOWS, RUNNER_GOALS } from "./fleet-aims.ts";
import { FleetWeather } from "./fleet-weather.ts";
import { Ledger } from "./ledger.ts";
import { lookForLeftovers } from "./leftovers.ts";
import { Coroner } from "./obituary.ts";
import { peek } from "./peek.ts";
import { People } from "./people.ts";
import { isWell, type Report } from "./report.ts";
import { comeToRest } from "./rest.ts";
import { hasSuspects, RunnerLives } from "./runner-lives.ts";
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
/** How long a life lasts that is to end anywhere, at most; with runners, so that they come to something. */
const RANDOM_MS = 3_500;
const RANDOM_WITH_RUNNERS_MS = 9_000;
/** A job that was begun so often is let through, for at most so long. */
const KILLED_OFTEN = 5;
const LET_THROUGH_MS = 20_000;
/** So many times as long a storm lasts while something is missing that it must hit: machines are busy. */
const EXTENSION = 8;

export interface StormOptions {
  /** Starts the forge. */
  readonly server: () => Promise<E2eServer>;
  readonly seed: string;
  /** Of storm; coming to rest is not counted. */
  readonly seconds: number;
  /** So many processes work off cells, and control none; 0: control works off all of them. */
  readonly runners: number;
  /** Nobody and nothing is killed, and nothing fails. */
  readonly isFair?: boolean;
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
  const world = await makeWorld(dice, options.server, options);
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
  readonly #lives: RunnerLives | null;
  readonly #fleetWeather: FleetWeather | null;
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
    const { fleet } = world;
    const { required, say } = options;
    const ofControl = fleet === null ? undefined : { goals: CONTROL_GOALS, aimAt: aimAtControl };
    this.#schedule = new Schedule(dice.fork("schedule"), required, ofControl);
    const runnerDice = dice.fork("runners");
    const schedule = new Schedule(runnerDice, required, { goals: RUNNER_GOALS, aimAt: aimAtRunner });
    this.#lives =
      fleet === null
        ? null
        : new RunnerLives({ world, fleet, dice: runnerDice, people: this.#people, schedule, say });
    this.#fleetWeather =
      fleet === null
        ? null
        : new FleetWeather(world, fleet, { dice: dice.fork("fleet weather"), first: required });
  }

  /** Lives and deaths, until the time is over or enough were killed. */
  async rage(): Promise<void> {
    const { proxy, victim } = this.#world;
    await this.#firstLife();
    const gaps = (low: number, high: number) => () => this.#dice.between(low, high);
    this.#beganAt = performance.now();
    const living = [this.#people.live(gaps(...this.#options.gapMs))];
    if (this.#options.isFair) await this.#live();
    else {
      proxy.faultRate = 0.06;
      living.push(this.#weather.blow(gaps(700, 2_500)));
      if (this.#fleetWeather !== null) living.push(this.#fleetWeather.blow(gaps(1_000, 5_000)));
      if (this.#lives !== null) living.push(this.#lives.live());
      while (!this.#isOver()) await this.#liveAndDie(this.#schedule.next());
    }
    this.#people.stop();
    this.#weather.calm();
    this.#fleetWeather?.calm();
    this.#lives?.calm();
    await Promise.all(living);
    proxy.faultRate = 0;
    await victim.end();
  }

  /** One life of everybody, in peace. */
  async #live(): Promise<void> {
    void this.#world.victim.start(null);
    await this.#lives?.begin();
    while (!this.#isOver()) await pause(LOOK_MS);
  }

  get #allKills(): number {
    return this.#kills + (this.#lives?.count ?? 0);
  }

  /** By step and window, of every process. */
  get #hits(): Map<string, number> {
    const hits = new Map(this.#schedule.hits);
    for (const [goal, n] of this.#lives?.hits ?? []) hits.set(goal, (hits.get(goal) ?? 0) + n);
    return hits;
  }

  get #missing(): string[] {
    const hits = new Map([...this.#hits, ...(this.#fleetWeather?.tally ?? [])]);
    return this.#options.required.filter((goal) => !hits.has(goal));
  }

  #isOver(): boolean {
    const { seconds, kills, signal } = this.#options;
    if (signal?.aborted) return true;
    if (kills !== null && this.#allKills >= kills) return true;
    const lasted = performance.now() - this.#beganAt;
    const isMissed = this.#missing.length > 0;
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
    const isSlow = SLOW_ACTS.includes(aim.act) || FLEET_WINDOWS.some((window) => window === aim.goal);
    const aimMs = isSlow ? SLOW_AIM_MS : AIM_MS;
    const randomMs = this.#lives === null ? RANDOM_MS : RANDOM_WITH_RUNNERS_MS;
    const limitMs = aim.goal === AT_RANDOM ? this.#dice.between(30, randomMs) : aimMs;
    const end = await this.#until(aim, limitMs, ended);
    proxy.ambush = null;
    if (end.signal !== "SIGKILL") return this.#endedByItself(end);
    this.#kills++;
    if (aim.goal === AT_RANDOM) this.#atRandom++;
    await pause(SETTLE_MS);
    const obituary = await this.#coroner.examine(end);
    // What agents come to without anybody who watches them.
    if (aim.also !== undefined && !hasSuspects(this.#world)) await this.#world.fleet?.killAll();
    const more = await aggravate(this.#world, aim.also, this.#bystander);
    const hits = [...obituary.steps, ...obituary.windows, ...(more === null ? [] : [more])];
    this.#schedule.hit(hits);
    for (const fault of obituary.faults) this.#faults.push(`after kill ${this.#allKills}: ${fault}`);
    this.#options.say(`kill ${this.#allKills} (${aim.goal}): ${hits.join(", ") || "between all steps"}`);
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
    say(`the storm is over after ${this.#allKills} kills; coming to rest`);
    postman.isCalm = true;
    void victim.start(null);
    while (!victim.listens && victim.isAlive) await pause(LOOK_MS);
    await this.#lives?.begin();
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
    this.#faults.push(...(this.#lives?.faults ?? []));
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
        kills: this.#allKills,
        atRandom: this.#atRandom + (this.#lives?.atRandom ?? 0),
      },
      server: `${server.name} ${server.version}`,
      disk: disk.what,
      hits: this.#hits,
      required: this.#options.required,
      missing: this.#missing,
      fleet: this.#fleet(),
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

  #fleet(): Report["fleet"] {
    if (this.#lives === null) return null;
    const faults = new Map(this.#fleetWeather?.tally ?? []);
    const cells = peek(this.#world.dataDir, (ask) =>
      ask<{ runner: string; n: number }>("SELECT runner, count(*) AS n FROM cells GROUP BY runner"),
    );
    return {
      kills: new Map([["control", this.#kills], ...this.#lives.kills]),
      faults,
      cells: new Map((cells ?? []).map(({ runner, n }) => [runner, n])),
    };
  }

  /** Copies the registry, the missions and the log, for whoever wants to know why. */
  keep(dir: string): void {
    cpSync(this.#world.disk.dir, dir, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(dir, "serve.log"), this.#world.victim.log);
    for (const { name, victim } of this.#world.fleet?.runners ?? [])
      writeFileSync(join(dir, `${name}.log`), victim.log);
  }

  async end(): Promise<void> {
    this.#people.stop();
    this.#weather.calm();
    this.#fleetWeather?.calm();
    this.#lives?.calm();
    this.#bystander.end();
    await this.#world.victim.end();
    await this.#world.remove();
  }
}
