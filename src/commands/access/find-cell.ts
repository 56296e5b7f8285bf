import { type Cell, includesRole, type Role } from "../../cells/cell.ts";
import type { CellChoice, Deps, Origin } from "../command.ts";
import { refuse, refuseForRights } from "../command.ts";
import type { Standing } from "../rights.ts";
import { replies } from "../words/replies.ts";
import { cellsHere, reachable } from "./cells-here.ts";
import { asGuest, type StandingInCell } from "./standing-in.ts";

type FindDeps = Pick<Deps, "registry" | "rights" | "clock">;
type At = { readonly origin: Origin; readonly deps: FindDeps };

/** What a person must be in a cell to use a verb on it. */
export interface Need {
  readonly verb: string;
  readonly role: Role;
  /** What must stand after the CELL. */
  readonly words?: string;
  /**
   * Whether the verb could do anything to a cell now; of several cells of a thread, the only one it fits is
   * meant. Absent: nobody guesses.
   */
  readonly fits?: (cell: Cell) => boolean;
}

/**
 * Finds the cell a command is about, and whether the person may use the verb on it. Without a CELL: the one
 * cell of the thread that is neither archived nor destroyed, else the one that is not destroyed, else the
 * only one that the verb fits. Somebody without a role gets the same sentence for a cell that exists and one
 * that does not, and so does a cell of another repository.
 */
export async function findCell(typed: string | null, need: Need, at: At): Promise<CellChoice> {
  const found = typed === null ? await ofThread(need, at) : await byPrefix(typed, at);
  if ("refusal" in found) return found;
  const { cell, standing } = found;
  if (!includesRole(standing.role, need.role))
    return { refusal: await lacks(cell, need, { ...at, permission: standing.permission }) };
  return { cell, role: standing.role, own: standing.own };
}

async function lacks(cell: Cell, need: Need, at: At & { readonly permission: Member["permission"] }) {
  const needs =
    need.role === "director" ? "a director (admin rights)" : need.role === "executor" ? "write" : "read";
  const people =
    need.role === "observer"
      ? []
      : await at.deps.rights.peopleWho(need.role === "director" ? "director" : "write", cell.repository);
  return refuseForRights(
    replies.lacksPermission(need.verb, {
      login: at.origin.person.login,
      permission: at.permission,
      needs,
      fullName: cell.repository.fullName,
      people,
    }),
  );
}

/** What somebody who may at least read a cell's repository may do there. */
type Member = Extract<StandingInCell, { kind: "known" }> & { readonly role: Role };
type Seen = { readonly cell: Cell; readonly standing: Member };
type Refused = Extract<CellChoice, { refusal: unknown }>;

async function ofThread(need: Need, at: At): Promise<Seen | Refused> {
  const { thread } = at.origin;
  if (thread === null) return { refusal: refuse("usage", replies.nameACell()) };
  const seen = await visible(cellsHere(thread, at.deps), at);
  if ("refusal" in seen) return seen;
  const open = seen.filter(({ cell }) => cell.state !== "archived");
  const choice = open.length > 0 ? open : seen;
  const [only] = choice;
  if (only === undefined) return { refusal: refuse("not-found", replies.noCellHere()) };
  if (choice.length === 1) return only;
  return (
    onlyFitting(choice, need) ??
    onlyFitting(seen, need) ?? {
      refusal: refuse(
        "usage",
        replies.whichCell(
          { verb: need.verb, words: need.words ?? "" },
          choice.map(({ cell }) => cell),
        ),
      ),
    }
  );
}

function onlyFitting(seen: readonly Seen[], need: Need): Seen | null {
  const fitting = seen.filter(({ cell }) => need.fits?.(cell) === true);
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}

async function byPrefix(typed: string, at: At): Promise<Seen | Refused> {
  if (/^[0-9a-f-]{1,3}$/i.test(typed)) return { refusal: refuse("usage", replies.prefixTooShort(typed)) };
  const seen = await visible(reachable(typed, at.origin, at.deps), at);
  if ("refusal" in seen) return seen;
  const [only] = seen;
  if (only === undefined) return { refusal: refuse("not-found", replies.noSuchCell(typed)) };
  if (seen.length === 1) return only;
  const ids = seen.map(({ cell }) => cell.id);
  return { refusal: refuse("usage", replies.ambiguousCell(typed, ids)) };
}

/** Those cells of which the person may hear at all; each repository is asked about once. */
async function visible(cells: readonly Cell[], at: At): Promise<Seen[] | Refused> {
  const standings = new Map<number, Standing>();
  const seen: Seen[] = [];
  for (const cell of cells) {
    const { id } = cell.repository;
    const standing = standings.get(id) ?? (await at.deps.rights.standing(at.origin.person, cell.repository));
    standings.set(id, standing);
    if (standing.kind === "unknowable") return { refusal: refuseForRights(replies.unknowable(standing.why)) };
    const here = asGuest(standing, { cell, person: at.origin.person }, at.deps);
    if (here.kind === "known" && here.role !== null)
      seen.push({ cell, standing: { ...here, role: here.role } });
  }
  return seen;
}
