import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import { renameInJobs } from "../queue/renamed.ts";
import type { Db } from "../store/db.ts";
import type { Registry } from "./registry/registry.ts";
import { createRepositoryRows, type NamedRepository } from "./registry/repositories.ts";
import type { Steps } from "./steps/steps.ts";

export interface RenameDeps {
  readonly db: Db;
  readonly registry: Pick<Registry, "cell" | "remember">;
  readonly steps: Pick<Steps, "card" | "mark" | "retryPush">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
}

/** What follows for cells from what the forge says of their repository. Its id is what it is known by. */
export interface Renames {
  /**
   * It is there and served: a name that is new is put wherever the old one stood (cells, drafts, jobs), and
   * what was said of it missing is said no more.
   */
  found(repository: NamedRepository): void;
  /** Somebody was led elsewhere by a name: rows and jobs are looked through again when it is found. */
  doubt(id: number): void;
  /** It is not there, or not served under its name of now. Its cells say so. */
  lost(repository: RepositoryRef, why: string): void;
  /** Repositories of cells that are not archived yet. */
  inUse(): RepositoryRef[];
}

export function createRenames(deps: RenameDeps): Renames {
  const { db, registry, steps, clock, log } = deps;
  const rows = createRepositoryRows(db);
  /** What was found last of each: to ask again costs nothing. */
  const known = new Map<number, string>();

  const rename = (repository: NamedRepository, from: readonly string[]) => {
    const why = `${from.join(", ")} is called ${repository.fullName} now`;
    for (const id of rows.rename(repository)) {
      const state = registry.cell(id)?.state;
      // Rows of other states are read as moves: when it was archived, when it was given up.
      if (state === "active" || state === "idle")
        registry.remember(id, { at: clock.now(), from: state, to: state, who: "lazarus", why });
      if (state === "destroyed") continue;
      steps.mark(id);
      steps.card(id);
    }
    log.info({ repository: repository.fullName, id: repository.id, was: from }, "repository has a new name");
  };

  return {
    found(repository) {
      const { id, fullName } = repository;
      if (known.get(id) === fullName) return;
      db.transaction(() => {
        const from = rows.otherNames(repository);
        if (from.length > 0) rename(repository, from);
        renameInJobs(db, { id, fullName });
        for (const cellId of rows.trouble(id, null)) {
          steps.card(cellId);
          if (registry.cell(cellId)?.state === "idle") steps.retryPush(cellId);
        }
        db.afterCommit(() => known.set(id, fullName));
      });
    },

    doubt: (id) => void known.delete(id),

    lost({ id, fullName }, why) {
      known.delete(id);
      const told = db.transaction(() => rows.trouble(id, why));
      if (told.length > 0) log.warn({ repository: fullName, id, cells: told, why }, "a repository is lost");
    },

    inUse: rows.inUse,
  };
}
