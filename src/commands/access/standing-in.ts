import { type Cell, includesRole, type Role } from "../../cells/cell.ts";
import { isGuestAt } from "../../cells/registry/guests.ts";
import type { Deps } from "../command.ts";
import type { Standing } from "../rights.ts";

type Known = Extract<Standing, { kind: "known" }>;

/** What somebody may do in one cell. */
export type StandingInCell =
  | (Known & {
      /** By the forge or the configuration alone. */
      readonly own: Role | null;
      /** Why an invitation of theirs counts no more; null: there was none, or it counts. */
      readonly over: string | null;
    })
  | Extract<Standing, { kind: "unknowable" }>;

export type StandingDeps = {
  readonly registry: Pick<Deps["registry"], "guests">;
  readonly rights: Pick<Deps["rights"], "standing">;
  readonly clock: Pick<Deps["clock"], "now">;
};
type Person = { readonly id: number | null; readonly login: string };

/**
 * What somebody may do in a cell now: the higher of what the forge says when asked, and of an invitation
 * whose time is not over. An invitation opens no repository: who may not read it is nobody in the cell.
 */
export async function standingIn(cell: Cell, person: Person, deps: StandingDeps): Promise<StandingInCell> {
  return asGuest(await deps.rights.standing(person, cell.repository), { cell, person }, deps);
}

/** The same where the forge has just been asked about the cell's repository. */
export function asGuest(
  standing: Standing,
  { cell, person }: { readonly cell: Pick<Cell, "id">; readonly person: Person },
  { registry, clock }: Pick<StandingDeps, "registry" | "clock">,
): StandingInCell {
  if (standing.kind === "unknowable") return standing;
  const own = standing.role;
  const guest = person.id === null ? null : registry.guests.find(cell.id, person.id);
  if (own === null || guest === null) return { ...standing, own, over: null };
  if (!isGuestAt(guest, clock.now())) return { ...standing, own, over: "the invitation is over" };
  return { ...standing, own, over: null, role: includesRole(own, guest.role) ? own : guest.role };
}

/** Why somebody may do something in a cell no longer. */
export function lostRight(
  login: string,
  cell: Pick<Cell, "repository">,
  { over, needed }: { readonly over: string | null; readonly needed: "executor" | "director" },
): string {
  if (over !== null) return `the invitation of ${login} is over`;
  const lost = needed === "director" ? "is no longer a director" : "no longer has write permission";
  return `${login} ${lost} on ${cell.repository.fullName}`;
}
