import type { Cell, Role } from "../cells/cell.ts";
import { asGuest } from "../commands/access/standing-in.ts";
import type { Standing } from "../commands/rights.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { DashboardDeps, Sight, Viewer } from "./deps.ts";
import { knownRepositories } from "./read-cells.ts";

/** How long the answer for one person and repository is believed, for looking alone. */
export const BELIEVED_MS = 60_000;
const MOST_AT_ONCE = 4;
const MOST_KEPT = 10_000;

export interface Sights {
  of(viewer: Pick<Viewer, "person">): Promise<Sight>;
  isOperator(person: Viewer["person"]): Promise<boolean>;
}

interface Kept {
  readonly at: number;
  readonly standing: Promise<Standing>;
}

/** Asks the forge with the bot's own token, by user id; each answer once, at most four at a time. */
export function createSights(d: DashboardDeps): Sights {
  const kept = new Map<string, Kept>();
  const operators = new Map<string, { readonly at: number; readonly is: Promise<boolean> }>();
  const turn = createTurns(MOST_AT_ONCE);

  function standing(person: Viewer["person"], repository: RepositoryRef): Promise<Standing> {
    const now = d.clock.monotonic();
    const key = JSON.stringify([person.id, person.login, repository.id, repository.fullName]);
    const found = kept.get(key);
    if (found !== undefined && now - found.at < BELIEVED_MS) return found.standing;
    if (kept.size >= MOST_KEPT) kept.clear();
    const made = turn(() => d.rights.standing(person, repository)).catch((): Standing => {
      kept.delete(key);
      return { kind: "unknowable", why: "the forge does not answer" };
    });
    kept.set(key, { at: now, standing: made });
    return made;
  }

  return {
    async of({ person }) {
      const repositories = knownRepositories(d.db);
      const standings = await Promise.all(
        repositories.map(async (one) => [one.id, await standing(person, one)] as const),
      );
      const roles = new Map<number, Role>();
      for (const [id, one] of standings)
        if (one.kind === "known" && one.role !== null) roles.set(id, one.role);
      const guest = (cell: Cell, known: Standing): Role | null => {
        const here = asGuest(known, { cell, person }, d);
        return here.kind === "known" ? here.role : null;
      };
      const byId = new Map(standings);
      return {
        roles,
        ids: JSON.stringify([...roles.keys()]),
        unknown: standings.filter(([, one]) => one.kind === "unknowable").length,
        live: async (cell) => guest(cell, await d.rights.standing(person, cell.repository)),
        inCell: (cell) => {
          const known = byId.get(cell.repository.id);
          return known === undefined ? null : guest(cell, known);
        },
      };
    },

    isOperator(person) {
      if (person.id === null) return Promise.resolve(true);
      const now = d.clock.monotonic();
      const key = `${person.id} ${person.login}`;
      const found = operators.get(key);
      if (found !== undefined && now - found.at < BELIEVED_MS) return found.is;
      if (operators.size >= MOST_KEPT) operators.clear();
      const is = d.rights.isOperator(person).catch(() => {
        operators.delete(key);
        return false;
      });
      operators.set(key, { at: now, is });
      return is;
    },
  };
}

/** Lets so many at a time do what they ask for, in order. */
function createTurns(most: number): <T>(fn: () => Promise<T>) => Promise<T> {
  let free = most;
  const line: (() => void)[] = [];
  return async (fn) => {
    if (free === 0) await new Promise<void>((go) => line.push(go));
    else free--;
    try {
      return await fn();
    } finally {
      const next = line.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
