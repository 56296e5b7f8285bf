import { isVisit, type Run } from "../cell.ts";
import { holdOf, holdWords } from "../hold.ts";
import { addTo, type CellPlaces, type Load, type Waiting } from "../registry/places.ts";
import type { Registry } from "../registry/registry.ts";
import { isUncollected } from "./decide.ts";

/** How many runs may be in progress at the same time: in all, of one owner, repository or person. */
export interface Limits {
  readonly cells: number;
  /** 0: no limit. */
  readonly perOwner: number;
  readonly perRepository: number;
  readonly perPerson: number;
}

/** What decides whether a run that waits may start. */
export interface Line {
  readonly limits: Limits;
  /** Epoch ms: a retry waits for its time, whatever place there is. */
  readonly now: number;
}

interface Candidate {
  readonly cell: CellPlaces;
  readonly run: Waiting;
}

/** The first limit that leaves no place for one more, in words; null when there is a place. */
function fullLimit(load: Load, limits: Limits, { cell, run }: Candidate): string | null {
  if (load.all >= limits.cells) return `${load.all} of ${limits.cells} cells run`;
  const owned = load.owners.get(cell.owner) ?? 0;
  if (limits.perOwner > 0 && owned >= limits.perOwner)
    return `${owned} of ${limits.perOwner} cells of ${cell.fullName.split("/")[0]} run`;
  const here = load.repositories.get(cell.repository) ?? 0;
  if (here >= limits.perRepository) return `${here} of ${limits.perRepository} cells run in ${cell.fullName}`;
  const theirs = run.person === null ? 0 : (load.people.get(run.person) ?? 0);
  if (theirs >= limits.perPerson) return `${theirs} of ${limits.perPerson} cells run for ${run.login}`;
  return null;
}

/** The load as it is where the checks of a cell give way to its run: they take the place of one run. */
function withoutChecks<T>(load: Load, cell: CellPlaces, look: () => T): T {
  if (cell.checking === undefined) return look();
  const place = { ...cell, person: cell.checking };
  addTo(load, place, -1);
  try {
    return look();
  } finally {
    addTo(load, place, 1);
  }
}

/**
 * Runs in line that have a place now, each limit kept. Whose owner has fewest running comes first, then whose
 * repository, then whose person, then who asked first: whoever asks for much waits for it behind everybody
 * who does not. One that must wait does not hold up others that fit.
 */
export function admissible(registry: Registry, { limits, now }: Line): Run[] {
  const load = registry.places.load();
  if (holdOf(registry) !== null) return [];
  const open = due(registry, now).filter((one) => fits(load, limits, one));
  const taken: Candidate[] = [];
  const gaveWay: CellPlaces[] = [];
  for (const one of inOrder(open, load)) {
    if (!fits(load, limits, one)) continue;
    if (one.cell.checking !== undefined && !gaveWay.includes(one.cell)) {
      gaveWay.push(one.cell);
      addTo(load, { ...one.cell, person: one.cell.checking }, -1);
    }
    addTo(load, { ...one.cell, person: one.run.person }, 1);
    taken.push(one);
  }
  // What is written of them is what counts from here.
  for (const { cell, run } of taken) addTo(load, { ...cell, person: run.person }, -1);
  for (const cell of gaveWay) addTo(load, { ...cell, person: cell.checking ?? null }, 1);
  return taken.map(({ run }) => registry.mustRun(run.cellId, run.n));
}

function fits(load: Load, limits: Limits, one: Candidate): boolean {
  return withoutChecks(load, one.cell, () => fullLimit(load, limits, one)) === null;
}

/**
 * Why a run waits, and the how-manyth it is among those that wait for a place; null when it does not wait for
 * one.
 */
export function blockingLimit(
  registry: Registry,
  { limits, now }: Line,
  run: Pick<Run, "cellId" | "n">,
): { limit: string; place: number } | null {
  const cell = registry.places.of(run.cellId);
  const waiting = cell?.waiting.find((one) => one.n === run.n);
  if (cell === null || waiting === undefined || !isDue(cell, waiting, now)) return null;
  const load = registry.places.load();
  const hold = holdOf(registry);
  const limit =
    hold === null
      ? withoutChecks(load, cell, () => fullLimit(load, limits, { cell, run: waiting }))
      : holdWords(hold);
  if (limit === null) return null;
  return { limit, place: placesInLine(registry, now).get(keyOf(waiting)) ?? 1 };
}

/**
 * Whether a run that has a place waits all the same: what the last run left is not looked at yet, and nobody
 * has given that up. Only then is known how that ended, and what its agent is to be told.
 */
export function waitsForLook(registry: Registry, run: Pick<Run, "cellId" | "n" | "role">): boolean {
  const cell = registry.mustCell(run.cellId);
  if (isVisit(run) || cell.state !== "idle" || cell.stuck?.isOver) return false;
  const before = registry
    .runs(run.cellId)
    .findLast((one) => one.n < run.n && !isVisit(one) && one.state !== "withdrawn");
  return before !== undefined && isUncollected(before);
}

/** Brings the cards of those in line up to date: their places change with whatever starts and ends. */
export function showLine(deps: {
  readonly registry: Registry;
  readonly steps: { cardSoon(cellId: string): void };
}): void {
  const { registry, steps } = deps;
  const waiting = [...registry.places.inLine()];
  if (waiting.length === 0) return;
  registry.transaction(() => {
    for (const { cellId } of waiting) steps.cardSoon(cellId);
  });
}

interface Ordered {
  readonly version: number;
  /** Epoch ms: from this time on another run is due. */
  readonly until: number;
  readonly since: number;
  readonly places: ReadonlyMap<string, number>;
}
const ordered = new WeakMap<Registry, Ordered>();

/** Ordered anew only where something changed: many cards ask for it at once. */
function placesInLine(registry: Registry, now: number): ReadonlyMap<string, number> {
  const version = registry.places.version();
  const known = ordered.get(registry);
  if (known?.version === version && now >= known.since && now < known.until) return known.places;
  const line = inOrder(due(registry, now), registry.places.load());
  const places = new Map(line.map(({ run }, index) => [keyOf(run), index + 1]));
  const later = [...registry.places.inLine()].flatMap((cell) =>
    cell.waiting.map((one) => one.notBefore ?? 0).filter((at) => at > now),
  );
  const until = later.reduce((first, at) => Math.min(first, at), Number.POSITIVE_INFINITY);
  ordered.set(registry, { version, until, since: now, places });
  return places;
}

function keyOf(run: Pick<Waiting, "cellId" | "n">): string {
  return `${run.cellId}:${run.n}`;
}

function due(registry: Registry, now: number): Candidate[] {
  return [...registry.places.inLine()].flatMap((cell) =>
    cell.waiting.filter((run) => isDue(cell, run, now)).map((run) => ({ cell, run })),
  );
}

function isDue(cell: CellPlaces, run: Waiting, now: number): boolean {
  return !cell.waitsForApproval && (run.notBefore === null || run.notBefore <= now);
}

interface Ranked extends Candidate {
  /** How many of the person, repository and owner would run before it. */
  person: number;
  repository: number;
  owner: number;
}

/**
 * The order in which places are given that come free one after another: each that is given counts for the
 * next one.
 */
function inOrder(line: readonly Candidate[], load: Load): Candidate[] {
  const ranked = line.map((one): Ranked => ({ ...one, person: 0, repository: 0, owner: 0 }));
  const personOf = ({ cell, run }: Candidate) => `${cell.repository} ${run.person ?? ""}`;
  const before = (one: Ranked, other: Ranked) =>
    one.owner - other.owner ||
    one.repository - other.repository ||
    one.person - other.person ||
    one.run.seq - other.run.seq;
  const rank = (key: "person" | "repository" | "owner", of: (one: Ranked) => unknown, running: Running) => {
    const given = new Map<unknown, number>();
    for (const one of ranked.sort(before)) {
      const group = of(one);
      const earlier = given.get(group) ?? 0;
      given.set(group, earlier + 1);
      one[key] = running(one) + earlier;
    }
  };
  rank("person", personOf, ({ run }) => (run.person === null ? 0 : (load.people.get(run.person) ?? 0)));
  rank(
    "repository",
    ({ cell }) => cell.repository,
    ({ cell }) => load.repositories.get(cell.repository) ?? 0,
  );
  rank(
    "owner",
    ({ cell }) => cell.owner,
    ({ cell }) => load.owners.get(cell.owner) ?? 0,
  );
  return ranked.sort(before);
}

type Running = (one: Ranked) => number;
