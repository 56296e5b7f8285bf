import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { LazarusError, systemCode } from "../errors.ts";
import type { RunnerJob, Watched } from "../protocol/runner-port.ts";
import type { CellUserNumbers } from "../protocol/shapes.ts";
import { subjectOf } from "../protocol/subject.ts";

const FILE = "users.json";
const book = z.object({
  last: z.number(),
  /** By cell: its number, and its repository. */
  cells: z.record(z.string(), z.object({ number: z.number(), repository: z.number() })),
  repositories: z.record(z.string(), z.number()),
  /**
   * By repository: the number of its next cell, for which a tree waits; `askedBy`: the cell that the tree is
   * being made after, and nobody gets the number meanwhile.
   */
  spares: z.record(z.string(), z.object({ number: z.number(), askedBy: z.string().nullable() })).default({}),
});
type Book = z.infer<typeof book>;

/**
 * Users of this machine for the cells that lie here, kept in `<data>/users.json`: control knows none of
 * another machine's. Without root nobody has one.
 */
export interface CellUsers {
  /** The job with its cell's user, who is chosen where it has none. @throws LazarusError `configuration` */
  give(job: RunnerJob): RunnerJob;
  watched(watched: Watched): Watched;
  /** Its cell is gone. */
  release(cellId: string): void;
  /** Nothing is at work any more at the tree that waits for the cell after this one. */
  spareIsMade(cellId: string): void;
  /** Why a further cell cannot have a user; null: it can. */
  shortage(): string | null;
}

export interface CellUsersOptions {
  readonly dataDir: string;
  readonly range: { readonly first: number; readonly last: number };
  readonly asRoot: boolean;
}

/** @throws LazarusError `registry-unusable` where the file cannot be read. */
export function createCellUsers({ dataDir, range, asRoot }: CellUsersOptions): CellUsers {
  const path = join(dataDir, FILE);
  let known = read(path, range.first - 1);
  const taken = () =>
    new Set([
      ...[...Object.values(known.cells), ...Object.values(known.spares)].map((one) => one.number),
      ...Object.values(known.repositories),
    ]);
  const ready = () => Object.entries(known.spares).filter(([, { askedBy }]) => askedBy === null);
  const size = range.last - range.first + 1;
  const shortage = () =>
    !asRoot || taken().size - ready().length + 2 <= size
      ? null
      : `no user is left for another cell, all of ${range.first}-${range.last} are taken (uids in its configuration)`;
  /** Round and round: what a cell left in /tmp becomes another's as late as possible. */
  const next = (from: Book): number => {
    const used = taken();
    for (let step = 1; step <= size; step++) {
      const start = from.last < range.first || from.last > range.last ? -1 : from.last - range.first;
      const number = range.first + ((start + step) % size);
      if (!used.has(number)) return number;
    }
    // Of all numbers those of trees that wait are missed least: nobody runs as them.
    const [key, spare] = ready()[0] ?? [];
    if (key === undefined || spare === undefined)
      throw new LazarusError("configuration", shortage() ?? "no user is left", { retryable: true });
    keep({ ...known, spares: without(known.spares, key) });
    return spare.number;
  };
  const keep = (changed: Book) => {
    write(path, changed);
    known = changed;
  };
  const of = (cellId: string, repositoryId: number | null): CellUserNumbers | null => {
    if (!asRoot) return null;
    if (known.cells[cellId] === undefined && repositoryId !== null) {
      const key = String(repositoryId);
      if (known.repositories[key] === undefined) {
        const number = next(known);
        keep({ ...known, last: number, repositories: { ...known.repositories, [key]: number } });
      }
      const spare = known.spares[String(repositoryId)];
      const isReady = spare?.askedBy === null;
      const number = isReady ? spare.number : next(known);
      keep({
        ...known,
        ...(isReady ? { spares: without(known.spares, String(repositoryId)) } : { last: number }),
        cells: { ...known.cells, [cellId]: { number, repository: repositoryId } },
      });
    }
    const own = known.cells[cellId];
    if (own === undefined) return null;
    const group = known.repositories[String(own.repository)];
    return { uid: own.number, gid: own.number, groups: group === undefined ? [] : [group] };
  };
  const forSpare = (askedBy: string, repositoryId: number): CellUserNumbers | null => {
    const [key, group] = [String(repositoryId), known.repositories[String(repositoryId)]];
    if (!asRoot || group === undefined) return null;
    const number = known.spares[key]?.number ?? next(known);
    const last = known.spares[key] === undefined ? { last: number } : {};
    keep({ ...known, ...last, spares: { ...known.spares, [key]: { number, askedBy } } });
    return { uid: number, gid: number, groups: [group] };
  };
  return {
    shortage,
    give(job) {
      const { payload } = job;
      const { cellId } = subjectOf(payload);
      if (cellId === null) return job;
      if (job.kind === "spare") {
        const spare = job as RunnerJob<"spare">;
        const user = forSpare(cellId, spare.payload.repository.id);
        return { ...spare, payload: { ...spare.payload, user } };
      }
      if ("cell" in payload) {
        const { cell } = payload;
        return {
          ...job,
          payload: { ...payload, cell: { ...cell, user: of(cellId, cell.repository.id) } },
        } as RunnerJob;
      }
      // It may never have been here.
      const repository = job.kind === "restore" && "repository" in payload ? payload.repository.id : null;
      return "user" in payload
        ? ({ ...job, payload: { ...payload, user: of(cellId, repository) } } as RunnerJob)
        : job;
    },
    watched: ({ runs, setups, checks }) => ({
      runs,
      setups: setups.map((one) => ({ ...one, cell: { ...one.cell, user: of(one.cell.id, null) } })),
      checks: checks.map((one) => ({ ...one, cell: { ...one.cell, user: of(one.cell.id, null) } })),
    }),
    release(cellId) {
      if (known.cells[cellId] === undefined) return;
      keep({ ...known, cells: without(known.cells, cellId) });
    },
    spareIsMade(cellId) {
      const [key, spare] = Object.entries(known.spares).find(([, { askedBy }]) => askedBy === cellId) ?? [];
      if (key === undefined || spare === undefined) return;
      keep({ ...known, spares: { ...known.spares, [key]: { ...spare, askedBy: null } } });
    },
  };
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> {
  const { [key]: _, ...rest } = record;
  return rest;
}

function read(path: string, last: number): Book {
  try {
    return book.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { last, cells: {}, repositories: {}, spares: {} };
    throw new LazarusError("registry-unusable", `reading ${path}, which says whose user each cell has`, {
      cause: error,
    });
  }
}

/** Whole, and on disk before anybody runs as that user. */
function write(path: string, known: Book): void {
  try {
    const fd = openSync(`${path}.new`, "w", 0o600);
    try {
      writeSync(fd, JSON.stringify(known));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new LazarusError("registry-unusable", `writing ${path}`, { cause: error, retryable: true });
  }
}
