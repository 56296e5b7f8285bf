import { type Cell, includesRole, type Role } from "../../cells/cell.ts";
import type { CellChoice, Deps, Origin } from "../command.ts";
import { refuse } from "../command.ts";
import type { Standing } from "../rights.ts";
import { replies } from "../words/replies.ts";

type FindDeps = Pick<Deps, "registry" | "rights">;

/** What a person must be in a cell to use a verb on it. */
export interface Need {
  readonly verb: string;
  readonly role: Role;
}

/**
 * Finds the cell a command is about, and whether the person may use the verb on it. Without a CELL: the one cell of the
 * thread that is neither archived nor destroyed, else the one that is not destroyed. Somebody without a role gets the same sentence
 * for a cell that exists and one that does not, and so does a cell of another repository.
 */
export async function findCell(
  typed: string | null,
  need: Need,
  at: { origin: Origin; deps: FindDeps },
): Promise<CellChoice> {
  const found = typed === null ? ofThread(at.origin, at.deps) : byPrefix(typed, at.origin, at.deps);
  if ("refusal" in found) return found;
  const cell = found.cell;
  const standing = await at.deps.rights.standing(at.origin.person, cell.repository);
  if (standing.kind === "unknowable") return { refusal: refuse("refused", replies.unknowable(standing.why)) };
  if (standing.role === null) {
    return {
      refusal: refuse("not-found", typed === null ? replies.noCellHere() : replies.noSuchCell(typed)),
    };
  }
  if (!includesRole(standing.role, need.role))
    return { refusal: await lacks(cell, need, { ...at, standing }) };
  return { cell, role: standing.role };
}

async function lacks(
  cell: Cell,
  need: Need,
  at: { origin: Origin; deps: FindDeps; standing: Extract<Standing, { kind: "known" }> },
) {
  const needs =
    need.role === "director" ? "a director (admin rights)" : need.role === "executor" ? "write" : "read";
  const people =
    need.role === "observer"
      ? []
      : await at.deps.rights.peopleWho(need.role === "director" ? "director" : "write", cell.repository);
  return refuse(
    "refused",
    replies.lacksPermission(need.verb, {
      login: at.origin.person.login,
      permission: at.standing.permission,
      needs,
      fullName: cell.repository.fullName,
      people,
    }),
  );
}

type Found = { readonly cell: Cell } | Extract<CellChoice, { refusal: unknown }>;

function ofThread(origin: Origin, deps: FindDeps): Found {
  if (origin.thread === null) return { refusal: refuse("usage", replies.nameACell()) };
  const cells = deps.registry
    .ofThread(origin.thread.repository.id, origin.thread.number)
    .filter((cell) => cell.state !== "destroyed");
  const open = cells.filter((cell) => cell.state !== "archived");
  const choice = open.length > 0 ? open : cells;
  const [only] = choice;
  if (only === undefined) return { refusal: refuse("not-found", replies.noCellHere()) };
  if (choice.length > 1)
    return { refusal: refuse("usage", replies.whichCell(choice.map((cell) => cell.id))) };
  return { cell: only };
}

function byPrefix(typed: string, origin: Origin, deps: FindDeps): Found {
  if (/^[0-9a-f-]{1,3}$/i.test(typed)) return { refusal: refuse("usage", replies.prefixTooShort(typed)) };
  const cells = reachable(typed, origin, deps);
  const [only] = cells;
  if (only === undefined) return { refusal: refuse("not-found", replies.noSuchCell(typed)) };
  if (cells.length > 1)
    return {
      refusal: refuse(
        "usage",
        replies.ambiguousCell(
          typed,
          cells.map((cell) => cell.id),
        ),
      ),
    };
  return { cell: only };
}

/** Cells that match a prefix and belong to the thread's repository (all, for the operator). */
export function reachable(prefix: string, origin: Origin, deps: Pick<Deps, "registry">): Cell[] {
  const cells = deps.registry.withPrefix(prefix);
  if (origin.isOperator) return cells;
  return cells.filter((cell) => cell.repository.id === origin.thread?.repository.id);
}
