import { STEPS, WINDOWS } from "./aims.ts";
import { FLEET_WINDOWS } from "./fleet-aims.ts";

/** What a storm came to. */
export interface Report {
  readonly seed: string;
  readonly seconds: number;
  readonly server: string;
  readonly disk: string;
  readonly kills: number;
  /** Kills at no place in particular. */
  readonly atRandom: number;
  /** Kills by step and crash window; one kill may fall into several. */
  readonly hits: ReadonlyMap<string, number>;
  readonly required: readonly string[];
  /** What was required and no kill fell into. */
  readonly missing: readonly string[];
  readonly faults: Readonly<Record<"forge" | "deliveries" | "weather", ReadonlyMap<string, number>>>;
  /** Null where control runs all cells itself. */
  readonly fleet: {
    /** By process. */
    readonly kills: ReadonlyMap<string, number>;
    readonly faults: ReadonlyMap<string, number>;
    /** How many cells were given to each. */
    readonly cells: ReadonlyMap<string, number>;
  } | null;
  /** Of Lazarus to the forge. */
  readonly requests: number;
  /** `never`: never accepted, not even at the end. */
  readonly deliveries: { readonly all: number; readonly never: number };
  readonly acts: ReadonlyMap<string, number>;
  readonly commands: number;
  /** Comments that were edited or deleted before they were read, and rightly not run. */
  readonly withdrawn: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** Everything else that must not be. */
  readonly left: readonly string[];
}

export function isWell(report: Report): boolean {
  return [report.lost, report.doubled, report.left, report.missing].every((list) => list.length === 0);
}

/** The report for people. `again` is the command line that repeats it. */
export function describe(report: Report, again: string): string {
  const { forge, deliveries, weather } = report.faults;
  const lines = [
    `${report.kills} kills in ${report.seconds} s on ${report.server}, ${report.atRandom} of them at random instants; seed ${report.seed}`,
    `disk: ${report.disk}`,
    "",
    "kills by step (what was being worked off when it came):",
    ...table(Object.keys(STEPS), report.hits),
    ...table(others(report.hits), report.hits),
    "kills by crash window:",
    ...table(WINDOWS, report.hits),
    ...describeFleet(report),
    `faults of the forge, in ${report.requests} requests: ${sum(forge)}`,
    ...table([...forge.keys()], forge),
    `deliveries: ${report.deliveries.all}, of them never accepted: ${report.deliveries.never}`,
    ...table([...deliveries.keys()], deliveries),
    "weather:",
    ...table([...weather.keys()], weather),
    `people typed ${report.commands} commands, ${report.withdrawn} comments were edited or deleted in time`,
    ...table([...report.acts.keys()], report.acts),
    ...found("lost", report.lost),
    ...found("doubled", report.doubled),
    ...found("left over or wrong", report.left),
    ...(report.missing.length === 0 ? [] : [`no kill fell into: ${report.missing.join(", ")}`]),
    "",
    `${report.kills} kills, ${report.lost.length} lost, ${report.doubled.length} doubled, ${report.left.length} left over or wrong`,
    `again: ${again} (the choices are the same, the timing is the machine's)`,
  ];
  return `${lines.join("\n")}\n`;
}

function describeFleet({ fleet, hits }: Report): string[] {
  if (fleet === null) return [];
  return [
    "kills between control and its runners:",
    ...table(FLEET_WINDOWS, hits),
    "kills by process:",
    ...table([...fleet.kills.keys()], fleet.kills),
    `faults of Redis and runners: ${sum(fleet.faults)}`,
    ...table([...fleet.faults.keys()], fleet.faults),
    "cells by runner (local: those that never had their turn):",
    ...table([...fleet.cells.keys()], fleet.cells),
  ];
}

function table(names: readonly string[], counts: ReadonlyMap<string, number>): string[] {
  return names.map((name) => `  ${String(counts.get(name) ?? 0).padStart(5)}  ${name}`);
}

/** Steps that a kill fell into although nobody aimed at them. */
function others(hits: ReadonlyMap<string, number>): string[] {
  const known: readonly string[] = [...WINDOWS, ...FLEET_WINDOWS, ...Object.keys(STEPS)];
  return [...hits.keys()].filter((name) => !known.includes(name));
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, n) => total + n, 0);
}

function found(what: string, list: readonly string[]): string[] {
  return [`${what}: ${list.length}`, ...list.map((one) => `  - ${one}`)];
}
