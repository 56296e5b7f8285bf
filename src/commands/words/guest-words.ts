import { type Cell, isVisit, type Role, type Run, shortId } from "../../cells/cell.ts";
import { type Guest, isGuestAt } from "../../cells/registry/guests.ts";
import type { Visit } from "../../cells/registry/visits.ts";
import { code, details, fenced, join, type Markdown, md, quote } from "../../gitea/markdown.ts";
import type { Harvest } from "../../protocol/shapes.ts";
import { endOfRun, moment } from "./run-words.ts";
import { asTyped, c, list, say } from "./sentence.ts";

const MOST_REPORT_CHARS = 20_000;
const MOST_QUESTION_CHARS = 4_000;

/** Every sentence that answers an invitation. */
export const guestReplies = {
  /** A role by invitation is no right of the forge. */
  notForGuests: (cell: Cell, what: string) =>
    say`${c(what)} was not done: you direct cell ${c(shortId(cell.id))} by invitation, and that takes a director of ${cell.repository.fullName}.`,
  whom: () =>
    say`Whom? Type ${asTyped("invite CELL bot:AGENT")} for an agent, ${asTyped("invite CELL @user ROLE")} for a person.`,
  noSuchWord: (typed: string) =>
    say`Who is ${c(typed)}? Type ${c(`@${typed}`)} for a person, ${c(`bot:${typed}`)} for an agent.`,
  noTeam: (typed: string) => say`${c(typed)} is no person: name each one by themselves.`,
  badLogin: (typed: string) =>
    say`${c(typed)} is not a login: type ${c("@")} and the name that the forge shows, such as ${c("@reader")}.`,
  badRole: (typed: string) =>
    say`There is no role ${c(typed)}. Available: observer, executor, director, and none to end it.`,
  badFor: (typed: string) =>
    say`${c("--for")} takes a duration from 1m to 90d, such as ${c("2d")}, not ${c(typed)}.`,
  directsNothing: (agent: string) =>
    say`${agent} was not invited: an agent directs nothing. Invite it as ${c("observer")} or ${c("executor")}.`,
  cannotBeRun: (agent: string, why: string) => say`${agent} was not invited: ${why}`,
  worksHere: (cell: Cell, agent: string) =>
    say`${agent} works in cell ${c(shortId(cell.id))} already: ${asTyped(`tell ${shortId(cell.id)} --to ${agent} words`)} says something to it.`,
  isInLine: (cell: Cell, agent: string) =>
    say`${agent} is invited to cell ${c(shortId(cell.id))} already: its turn has not ended yet.`,
  looksNow: (cell: Cell, agent: string) =>
    say`${agent} is at work in cell ${c(shortId(cell.id))}: ${asTyped(`stop ${shortId(cell.id)}`)} ends its run.`,
  looksNext: (cell: Cell, agent: string, isWaiting: boolean) =>
    isWaiting
      ? say`cell ${c(shortId(cell.id))}: ${agent} looks at the work after the present turn`
      : say`cell ${c(shortId(cell.id))}: ${agent} looks at the work`,
  worksNext: (cell: Cell, agent: string, isWaiting: boolean) =>
    isWaiting
      ? say`cell ${c(shortId(cell.id))}: ${agent} works after the others; where one of them fails, ${asTyped(`revive ${shortId(cell.id)} ${agent}`)} begins its turn`
      : say`cell ${c(shortId(cell.id))}: ${agent} goes on`,
  /** What an observer is told does nothing. */
  observes: (cell: Cell, agent: string) =>
    say`${agent} only looks at cell ${c(shortId(cell.id))} and changes nothing: ${asTyped(`invite ${shortId(cell.id)} bot:${agent} executor`)} lets it work there (directors).`,
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

/** Who is a guest of a cell, and which agents are to look at it, on its card; none where nobody is. */
export function guestLines(
  cell: Pick<Cell, "state">,
  at: {
    readonly people: readonly Guest[];
    readonly visits: readonly Visit[];
    readonly last: Run | null;
    readonly now: number;
  },
): Markdown[] {
  if (cell.state === "destroyed") return [];
  const people = at.people.filter((guest) => isGuestAt(guest, at.now)).map(guestText);
  const { last } = at;
  const isNext = last !== null && isVisit(last) && (last.state === "waiting" || last.state === "admitted");
  const visits = [...(isNext ? [last.agent] : []), ...at.visits.map(({ agent }) => agent)];
  const lines: Markdown[] = [];
  if (people.length > 0) lines.push(md`Invited: ${people.join(", ")}.`);
  if (visits.length > 0 && cell.state !== "archived")
    lines.push(md`After this ${list([...new Set(visits)])} ${visits.length === 1 ? "looks" : "look"} at it.`);
  return lines;
}

/** What an observer found, as its own words, posted where the work is looked at. */
export function visitReport({
  cell,
  run,
  harvest,
}: {
  readonly cell: Cell;
  readonly run: Run;
  readonly harvest: Harvest | null;
}): Markdown {
  const tip = cell.harvest?.tip ?? cell.baseCommit;
  const who = md`**${run.agent}** (observer, invited by ${run.requester.login})`;
  const again = code(`/lazarus invite ${shortId(cell.id)} bot:${run.agent}`);
  if (harvest === null)
    return md`${who} could not look at cell ${code(shortId(cell.id))}: ${run.stopped ?? "it was not started"}. ${again} tries it again.`;
  const words = harvest.report ?? (harvest.said?.words || null);
  const asks = harvest.question === null ? [] : [md`It asks:`, quote(harvest.question, MOST_QUESTION_CHARS)];
  if (words === null) {
    const log =
      harvest.logTail === "" ? [] : [details("The end of its log", fenced(harvest.logTail, 4_000, "end"))];
    const ended = md`${who} left no report on ${code(tip.slice(0, 10))} (${endOfRun(run)}). ${again} lets it look again.`;
    return join([ended, ...asks, ...log], "\n\n");
  }
  const told = md`${who} reports on ${code(tip.slice(0, 10))}. These are its words; nobody has checked them, and nothing follows from them by itself.`;
  const how = md`${code(`/lazarus tell ${shortId(cell.id)} …`)} makes work of it.`;
  return join([told, quote(words, MOST_REPORT_CHARS), ...asks, how], "\n\n");
}

/** The same in a terminal. */
export function guestStatus(people: readonly Guest[], now: number): string[] {
  const here = people.filter((guest) => isGuestAt(guest, now));
  return here.length === 0 ? [] : [`guests   ${here.map(guestText).join(", ")}`];
}
