import { includesRole, type Role } from "../../cells/cell.ts";
import type { Origin } from "../command.ts";
import { cellsHere } from "./cells-here.ts";
import { asGuest, type StandingDeps } from "./standing-in.ts";

interface RoleDeps extends StandingDeps {
  readonly registry: StandingDeps["registry"] & Parameters<typeof cellsHere>[1]["registry"];
}

/**
 * What somebody is on a thread: what the forge says when asked, or an invitation into a cell there, whichever
 * is more. Null: nobody, or it cannot be known.
 */
export async function roleOnThread(
  person: { readonly id: number | null; readonly login: string },
  thread: NonNullable<Origin["thread"]>,
  deps: RoleDeps,
): Promise<Role | null> {
  const standing = await deps.rights.standing(person, thread.repository);
  if (standing.kind === "unknowable" || standing.role === null) return null;
  const roles = cellsHere(thread, deps).flatMap((cell) => {
    // An invitation is into a cell of this very repository, which the forge was asked about.
    if (cell.repository.id !== thread.repository.id) return [];
    const known = asGuest(standing, { cell, person }, deps);
    return known.kind === "known" && known.role !== null ? [known.role] : [];
  });
  return roles.reduce((most, role) => (includesRole(most, role) ? most : role), standing.role);
}
