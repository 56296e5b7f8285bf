import { type Dir, type Dirent, opendirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../clock.ts";
import { LazarusError, systemCode } from "../../errors.ts";
import { createLook, kindOf, type Look, type PitClass, type Tolerance } from "./pit-look.ts";

/** A directory under the root that bears a cell's name, and how it is. */
export interface FoundCell extends Look {
  readonly kind: "cell";
  readonly id: string;
}

/** Something under the root that is no cell: reported, never touched, never followed. */
export interface Stranger {
  readonly kind: "stranger";
  readonly path: string;
  /** `a file`, `a link`, `a directory whose name is no cell's id`. */
  readonly what: string;
}

export type PitEntry = FoundCell | Stranger;

/** How many cells of each class. */
export type Counts = Record<PitClass, number>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Cells on their way in and out: the next start of the server finishes them. */
const ON_THE_WAY = /^\.(?:new|gone)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Names that are read from the kernel at once. */
const BATCH = 512;

/** Whether a name is a cell's: any UUID. */
export function isCellId(name: string): boolean {
  return UUID.test(name);
}

/** Counts of nothing seen yet. */
export function noCounts(): Counts {
  return { healthy: 0, stale: 0, incomplete: 0, uninitialized: 0 };
}

/** What a scan looks at, and by what measure. */
export interface ScanOptions extends Tolerance {
  readonly root: string;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Looks at everything under the missions root, one at a time and in no order: however many cells there are,
 * only one is in memory. What Lazarus is just making or removing (`.new-<id>`, `.gone-<id>`) is neither cell
 * nor stranger; what vanishes meanwhile is left out.
 * @throws LazarusError `directory` where the root is missing, no directory, or cannot be read.
 */
export function* scan({ root, clock, ...tolerance }: ScanOptions): Generator<PitEntry, void, void> {
  const look = createLook(tolerance);
  const dir = openRoot(root);
  try {
    for (let entry = next(dir, root); entry !== null; entry = next(dir, root)) {
      const { name } = entry;
      if (!entry.isDirectory()) {
        yield { kind: "stranger", path: join(root, name), what: kindOf(entry) };
      } else if (isCellId(name)) {
        const seen = look(`${root}/${name}`, name, clock.now());
        if (seen !== null) yield { kind: "cell", id: name, ...seen };
      } else if (!ON_THE_WAY.test(name)) {
        yield { kind: "stranger", path: join(root, name), what: "a directory whose name is no cell's id" };
      }
    }
  } finally {
    dir.closeSync();
  }
}

/** The same look at one cell alone; null where it is not there. */
export function lookAtCell({ root, clock, ...tolerance }: ScanOptions, id: string): FoundCell | null {
  const seen = createLook(tolerance)(`${root}/${id}`, id, clock.now());
  return seen === null ? null : { kind: "cell", id, ...seen };
}

function openRoot(root: string): Dir {
  const refused = (why: string, cause?: unknown) =>
    new LazarusError("directory", `looking into ${root}: ${why} (missions in lazarus.yaml)`, { cause });
  try {
    // The operator's own path may be a link, as it may for the server; below it none is followed.
    const stat = statSync(root, { throwIfNoEntry: false });
    if (stat === undefined) throw refused("it is missing");
    if (!stat.isDirectory()) throw refused(`it is ${kindOf(stat)}, not a directory`);
    return opendirSync(root, { bufferSize: BATCH });
  } catch (error) {
    if (error instanceof LazarusError) throw error;
    throw refused(systemCode(error) === "EACCES" ? "it may not be read" : "it cannot be read", error);
  }
}

function next(dir: Dir, root: string): Dirent | null {
  try {
    return dir.readSync();
  } catch (error) {
    throw new LazarusError("directory", `reading on in ${root}`, { cause: error });
  }
}
