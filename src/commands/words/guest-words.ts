import { type Cell, type Role, shortId } from "../../cells/cell.ts";
import { type Guest, isGuestAt } from "../../cells/registry/guests.ts";
import { join, type Markdown, md } from "../../gitea/markdown.ts";
import { moment } from "./run-words.ts";
import { asTyped, c, say } from "./sentence.ts";

/** Every sentence that answers an invitation. */
export const guestReplies = {
  /** A role by invitation is no right of the forge. */
  notForGuests: (cell: Cell, what: string) =>
    say`${c(what)} was not done: you direct cell ${c(shortId(cell.id))} by invitation, and that takes a director of ${cell.repository.fullName}.`,
  whom: () =>
    say`Whom? Type ${asTyped("invite CELL bot:AGENT")} for an agent, ${asTyped("invite CELL @user ROLE")} for a person.`,
  noTeam: (typed: string) => say`${c(typed)} is no person: name each one by themselves.`,
  badLogin: (typed: string) =>
    say`${c(typed)} is not a login: type ${c("@")} and the name that the forge shows, such as ${c("@reader")}.`,
  badRole: (typed: string) =>
    say`There is no role ${c(typed)}. There is: observer, executor, director, and none to end it.`,
  badFor: (typed: string) =>
    say`${c("--for")} takes a duration from 1m to 90d, such as ${c("2d")}, not ${c(typed)}.`,
  nothingToTime: () => say`${c("--for")} limits the role of a person: leave it out here.`,
  cannotJoin: (cell: Cell) =>
    cell.state === "archived" && cell.closing === null
      ? say`Cell ${c(shortId(cell.id))} is archived: ${asTyped(`revive ${shortId(cell.id)}`)} brings it back, then invite.`
      : say`Cell ${c(shortId(cell.id))} is being closed, or was: nobody can join it.`,
  noSuchUser: (login: string) => say`There is no user ${c(login)} that I can see.`,
  ownAccount: () => say`That is my own account: I run the cell and cannot be its guest.`,
  yourself: (cell: Cell) =>
    say`You direct cell ${c(shortId(cell.id))} already: another director can change your role.`,
  cannotRead: (login: string, fullName: string) =>
    say`${login} was not invited: ${login} cannot read ${fullName}. Give read permission there first.`,
  noGuest: (cell: Cell, name: string) => say`${name} is no guest of cell ${c(shortId(cell.id))}.`,
  invited: (cell: Cell, login: string, { role, until }: { role: Role; until: number | null }) =>
    until === null
      ? say`cell ${c(shortId(cell.id))}: ${login} is ${role}`
      : say`cell ${c(shortId(cell.id))}: ${login} is ${role} until ${moment(until)}`,
  ended: (cell: Cell, name: string) => say`cell ${c(shortId(cell.id))}: ${name} is no guest any more`,
} as const;

/** `reader (executor until 2026-12-05 14:30 UTC)`, in words. */
export function guestText({ login, role, until }: Pick<Guest, "login" | "role" | "until">): string {
  return `${login} (${role}${until === null ? "" : ` until ${moment(until)}`})`;
}

/** Who is a guest of a cell, on its card; none where nobody is. */
export function guestLines(
  cell: Pick<Cell, "state">,
  { people, now }: { readonly people: readonly Guest[]; readonly now: number },
): Markdown[] {
  const here = people.filter((guest) => isGuestAt(guest, now));
  if (here.length === 0 || cell.state === "destroyed") return [];
  const all = here.map((guest) => md`${guestText(guest)}`);
  return [md`Invited: ${join(all, ", ")}.`];
}

/** The same in a terminal. */
export function guestStatus(people: readonly Guest[], now: number): string[] {
  const here = people.filter((guest) => isGuestAt(guest, now));
  return here.length === 0 ? [] : [`guests   ${here.map(guestText).join(", ")}`];
}
