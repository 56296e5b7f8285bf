import type { Log } from "../../log.ts";
import type { DirectoriesSeen } from "../../protocol/directories-seen.ts";
import type { Cell } from "../cell.ts";
import { isLost } from "../lost.ts";
import type { DirectoryStanding } from "../registry/cell-row.ts";
import type { Registry } from "../registry/registry.ts";
import type { Steps } from "../steps/steps.ts";
import { isOnlyStored } from "../stored-seal.ts";

export interface DirectoryReportDeps {
  readonly registry: Pick<Registry, "standing" | "cell" | "update" | "transaction">;
  /** Whose directories are compared: those of its cells alone. */
  readonly runner: string;
  readonly steps: Pick<Steps, "card">;
  readonly log: Pick<Log, "warn">;
  /** A cell that was given up, or destroyed, and of which something lies there all the same. */
  readonly found?: (cellId: string) => void;
}

/** Compares what the pit saw on disk with the registry. */
export interface DirectoryReports {
  /** Whether any cell should have a directory. */
  isAnyMade(): boolean;
  /**
   * Compares one look with the registry, a cell a step, so that the caller may pause between two. It tells on
   * a cell's card when two looks in a row find the directory gone or damaged, and when that is over.
   */
  compare(seen: DirectoriesSeen): Iterable<unknown>;
}

const WITH_A_DIRECTORY = ["active", "idle", "closing", "archived"] as const;
const PAGE = 200;

/** Directories of no cell of the registry, and strangers, are logged once and left alone. */
export function createDirectoryReports(deps: DirectoryReportDeps): DirectoryReports {
  const { registry, runner, log } = deps;
  let suspected = new Map<string, string>();
  let odd = new Set<string>();

  return {
    isAnyMade: () => WITH_A_DIRECTORY.some((state) => registry.standing({ state, runner }, 0, 1).length > 0),

    *compare(seen) {
      const troubles = new Map<string, string>();
      const known = new Set<string>();
      for (const cell of everyCell(deps)) {
        known.add(cell.id);
        const trouble = troubleOf(cell, seen);
        const isSure = trouble === null || suspected.get(cell.id) === trouble;
        if (isSure && isNews(cell, trouble)) tell(cell.id, { trouble, seen }, deps);
        if (trouble !== null) troubles.set(cell.id, trouble);
        yield;
      }
      suspected = troubles;
      for (const id of seen.there) {
        const cell = known.has(id) ? null : registry.cell(id);
        if (cell !== null && (isLost(cell) || cell.state === "destroyed")) deps.found?.(id);
        yield;
      }
      const strange = new Set(seen.strangers);
      for (const id of seen.there)
        if (!known.has(id) && registry.cell(id) === null) strange.add(`${id}: no cell of the registry`);
      for (const one of strange)
        if (!odd.has(one))
          log.warn({ root: seen.root, what: one }, "the missions root holds what is no cell of ours");
      odd = strange;
    },
  };
}

/** A page at a time, each cell as it is when it is asked for. */
function* everyCell({ registry, runner }: DirectoryReportDeps): Generator<DirectoryStanding> {
  for (const state of WITH_A_DIRECTORY) {
    let page = registry.standing({ state, runner }, 0, PAGE);
    while (page.length > 0) {
      yield* page;
      page = registry.standing({ state, runner }, page.at(-1)?.row ?? 0, PAGE);
    }
  }
}

/** Null: its directory is as it must be, or there need not be any. */
function troubleOf(
  cell: Pick<Cell, "id" | "state" | "sealedAt" | "closing" | "stored">,
  seen: DirectoriesSeen,
): string | null {
  const isNeverMade = cell.state === "archived" && cell.sealedAt === null;
  if (isNeverMade || isOnlyStored(cell) || cell.closing?.thenDestroy) return null;
  if (!seen.there.has(cell.id)) return "gone";
  const why = seen.damaged.get(cell.id);
  return why === undefined ? null : `damaged: ${why}`;
}

function isNews(cell: Pick<Cell, "directoryTrouble">, trouble: string | null): boolean {
  return cell.directoryTrouble !== trouble;
}

/**
 * Reads the cell again, since others had their turn meanwhile: of a cell that is destroyed nothing is told.
 */
function tell(
  cellId: string,
  { trouble, seen }: { readonly trouble: string | null; readonly seen: DirectoriesSeen },
  { registry, steps, log }: DirectoryReportDeps,
): void {
  const cell = registry.cell(cellId);
  const isStill = WITH_A_DIRECTORY.some((state) => state === cell?.state);
  if (cell === null || !isStill || troubleOf(cell, seen) !== trouble || !isNews(cell, trouble)) return;
  registry.transaction(() => {
    registry.update(cellId, { directoryTrouble: trouble });
    steps.card(cellId);
  });
  if (trouble !== null) log.warn({ cell: cellId, why: trouble }, "a cell's directory is not as it must be");
}
