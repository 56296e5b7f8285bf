import type { Cell, Run } from "../cell.ts";
import { holdOf, holdWords } from "../hold.ts";
import type { Registry } from "../registry/registry.ts";

/** How many runs may be in progress at the same time: in all, in one repository, for one person. */
export interface Limits {
  readonly cells: number;
  readonly perRepository: number;
  readonly perPerson: number;
}

interface Load {
  all: number;
  readonly repositories: Map<number, number>;
  readonly people: Map<string, number>;
  /** Cells whose place is taken by a check, which gives way to a run of the same cell. */
  readonly checking: Set<string>;
}

/** The operator of the command line is no person of the forge, and has no limit of his own. */
function personKey(run: Run): string | null {
  return run.requester.id === null ? null : String(run.requester.id);
}

function add(load: Load, cell: Cell, run: Run, by = 1): void {
  load.all += by;
  load.repositories.set(cell.repository.id, (load.repositories.get(cell.repository.id) ?? 0) + by);
  const person = personKey(run);
  if (person !== null) load.people.set(person, (load.people.get(person) ?? 0) + by);
}

/** A check takes the place of the run whose work it looks at. */
function hold(load: Load, cell: Cell, run: Run): void {
  load.checking.add(cell.id);
  add(load, cell, run);
}

/** It gives way to a run of its own cell; answers whose place is free now. */
function giveWay(load: Load, cell: Cell, registry: Registry): Run | null {
  const run = load.checking.delete(cell.id) ? registry.lastKeptRun(cell.id) : null;
  if (run !== null) add(load, cell, run, -1);
  return run;
}

/** The first limit that leaves no place for one more, in words; null when there is a place. */
function fullLimit(load: Load, limits: Limits, at: { cell: Cell; run: Run }): string | null {
  if (load.all >= limits.cells) return `${load.all} of ${limits.cells} cells run`;
  const here = load.repositories.get(at.cell.repository.id) ?? 0;
  if (here >= limits.perRepository)
    return `${here} of ${limits.perRepository} cells run in ${at.cell.repository.fullName}`;
  const person = personKey(at.run);
  const theirs = person === null ? 0 : (load.people.get(person) ?? 0);
  if (theirs >= limits.perPerson)
    return `${theirs} of ${limits.perPerson} cells run for ${at.run.requester.login}`;
  return null;
}

/** `but`: a cell whose checks give way. */
function currentLoad(registry: Registry, but?: string): Load {
  const load: Load = { all: 0, repositories: new Map(), people: new Map(), checking: new Set() };
  for (const { cellId } of registry.checks.allAtWork()) {
    const [cell, run] = [registry.cell(cellId), registry.lastKeptRun(cellId)];
    if (cell === null || run === null || cellId === but || load.checking.has(cellId)) continue;
    hold(load, cell, run);
  }
  for (const run of registry.openRuns(["admitted", "running"])) {
    const cell = registry.cell(run.cellId);
    if (cell !== null) add(load, cell, run);
  }
  return load;
}

/** What decides whether a run that waits may start. */
export interface Line {
  readonly limits: Limits;
  /** Epoch ms: a retry waits for its time, whatever place there is. */
  readonly now: number;
}

/**
 * Runs in line that have a place now, first come first served; one that must wait does not hold up others
 * that fit.
 */
export function admissible(registry: Registry, { limits, now }: Line): Run[] {
  const waiting = registry.openRuns(["waiting"]).filter((run) => isDue(run, now));
  if (waiting.length === 0 || holdOf(registry) !== null) return [];
  const load = currentLoad(registry);
  const fit: Run[] = [];
  for (const run of waiting) {
    const cell = registry.cell(run.cellId);
    if (cell === null || cell.waitsForApproval) continue;
    const checked = giveWay(load, cell, registry);
    if (fullLimit(load, limits, { cell, run }) !== null) {
      if (checked !== null) hold(load, cell, checked);
      continue;
    }
    add(load, cell, run);
    fit.push(run);
  }
  return fit;
}

/**
 * Why a run waits, and the how-manyth it is among those that wait for a place; null when it does not wait for
 * one.
 */
export function blockingLimit(
  registry: Registry,
  { limits, now }: Line,
  run: Run,
): { limit: string; place: number } | null {
  const cell = registry.cell(run.cellId);
  if (run.state !== "waiting" || !isDue(run, now) || cell === null || cell.waitsForApproval) return null;
  const hold = holdOf(registry);
  const limit =
    hold === null ? fullLimit(currentLoad(registry, cell.id), limits, { cell, run }) : holdWords(hold);
  if (limit === null) return null;
  const line = registry
    .openRuns(["waiting"])
    .filter((one) => isDue(one, now) && registry.cell(one.cellId)?.waitsForApproval === false);
  return { limit, place: line.findIndex((one) => one.cellId === run.cellId && one.n === run.n) + 1 };
}

function isDue(run: Run, now: number): boolean {
  return run.notBefore === null || run.notBefore <= now;
}
