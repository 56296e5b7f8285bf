import { type Cell, includesRole, isVisit, type Requester, ROLES, type Role } from "../cells/cell.ts";
import { canBeJoined } from "../cells/inviting.ts";
import { isGuestAt } from "../cells/registry/guests.ts";
import type { Person } from "../gitea/port.ts";
import { nearest } from "../nearest.ts";
import { parseDuration } from "../units.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Command, type Deps, type Origin, refuse, type Verb } from "./command.ts";
import { guestReplies } from "./words/guest-words.ts";
import { replies } from "./words/replies.ts";

const MINUTE_MS = 60_000;
const SHORTEST_MS = MINUTE_MS;
const LONGEST_MS = 90 * 24 * 60 * MINUTE_MS;
const FOR = "--for";

type InviteDeps = Pick<Deps, "forge" | "registry" | "rights" | "inviting" | "config" | "clock">;

export const invite: Verb = {
  name: "invite",
  summary: "gives a person a role in the cell, or has another agent look at its work, or go on with it",
  usage: "invite [CELL] bot:AGENT|@user [ROLE] [--for 2d]",
  examples: [
    "invite 4f1c0b7e bot:kimi",
    "invite 4f1c0b7e bot:kimi executor",
    "invite 4f1c0b7e @reader executor --for 2d",
    "invite 4f1c0b7e @reader none",
  ],
  who: "director",
  flags: {
    [FOR]: { takes: "value", help: "how long the person keeps the role, from 1m to 90d" },
  },
  async run(command, origin, deps: InviteDeps) {
    const typed = readInvitation(command);
    if ("refusal" in typed) return typed.refusal;
    const words = [typed.whom, typed.role].join(" ");
    const need = { verb: "invite", words, role: "director", fits: canBeJoined } as const;
    const found = await findCell(typed.cellWord, need, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const { cell, own } = found;
    if (typed.role !== "none" && !canBeJoined(cell)) return refuse("refused", guestReplies.cannotJoin(cell));
    if (typed.isAgent) return inviteAgent({ ...typed, cell, by: origin.person }, deps);
    return invitePerson({ ...typed, cell, isDirector: own === "director" }, { origin, deps });
  },
};

interface Typed {
  readonly cellWord: string | null;
  readonly whom: string;
  readonly isAgent: boolean;
  readonly name: string;
  readonly role: Role | "none";
  readonly forMs: number | null;
}

type Read = Typed | { readonly refusal: Answer };

/** Without a CELL the first word says whom. */
function readInvitation({ words, flags }: Command): Read {
  const isWhom = (word: string | undefined) => word !== undefined && /^(@|bot:)/i.test(word);
  const [cellWord, rest] = isWhom(words[0]) ? [null, words] : [words[0] ?? null, words.slice(1)];
  const [whom, roleWord = "observer", ...more] = rest;
  if (whom === undefined) return usage(guestReplies.whom());
  if (!isWhom(whom)) return usage(guestReplies.noSuchWord(whom));
  if (more.length > 0) return usage(replies.usage(invite.usage));
  const role = [...ROLES, "none" as const].find((one) => one === roleWord.toLowerCase());
  if (role === undefined) return usage(guestReplies.badRole(roleWord));
  const typedFor = flags[FOR];
  const isAgent = /^bot:/i.test(whom);
  if (typedFor !== undefined && (role === "none" || isAgent)) return usage(guestReplies.nothingToTime());
  const forMs = typeof typedFor === "string" ? parseDuration(typedFor) : null;
  if (typedFor !== undefined && (forMs === null || forMs < SHORTEST_MS || forMs > LONGEST_MS))
    return usage(guestReplies.badFor(String(typedFor)));
  if (isAgent) return { cellWord, whom, isAgent, name: whom.slice("bot:".length), role, forMs };
  const name = whom.slice(1);
  if (name.includes("/")) return usage(guestReplies.noTeam(whom));
  if (!/^[\w.-]{1,100}$/.test(name)) return usage(guestReplies.badLogin(whom));
  return { cellWord, whom, isAgent, name, role, forMs };
}

function usage(reply: Parameters<typeof refuse>[1]): { readonly refusal: Answer } {
  return { refusal: refuse("usage", reply) };
}

/** An observer looks once, after the present turn; an executor works after all others. */
function inviteAgent(
  wanted: Pick<Typed, "name" | "role"> & { readonly cell: Cell; readonly by: Requester },
  deps: InviteDeps,
): Answer {
  const { cell, role, by } = wanted;
  const { registry } = deps;
  const agents = [...deps.config.agents.keys()];
  const agent = deps.config.agents.get(wanted.name.toLowerCase());
  if (agent === undefined)
    return refuse(
      "not-found",
      replies.unknownAgent(wanted.name, agents, nearest(wanted.name.toLowerCase(), agents)),
    );
  const { name } = agent;
  const inLine = [...registry.visits.waiting(cell.id), ...registry.team.waiting(cell.id)];
  const waits = inLine.some((one) => one.agent === name);
  const last = registry.lastRun(cell.id);
  const isOn =
    last?.agent === name && ["waiting", "admitted", "running"].includes(last.state) && isVisit(last);
  const data = { id: cell.id, member: name, role: role === "none" ? null : role };
  if (role === "none") {
    if (isOn) return refuse("refused", guestReplies.looksNow(cell, name));
    if (!waits) return refuse("not-found", guestReplies.noGuest(cell, name));
    const effects = () => deps.inviting.endAgent(cell.id, name, by.login);
    return { kind: "done", line: guestReplies.ended(cell, name), data, effects };
  }
  if (role === "director") return refuse("refused", guestReplies.directsNothing(name));
  if (agent.unavailable !== null) return refuse("refused", guestReplies.cannotBeRun(name, agent.unavailable));
  if (waits || isOn) return refuse("refused", guestReplies.isInLine(cell, name));
  const member = registry.members(cell.id).find((one) => one.kind === "bot" && one.name === name);
  if (member !== undefined && member.role !== "observer")
    return refuse("refused", guestReplies.worksHere(cell, name));
  const isWaiting = () =>
    [...registry.visits.waiting(cell.id), ...registry.team.waiting(cell.id)].some(
      (one) => one.agent === name,
    );
  const say = role === "observer" ? guestReplies.looksNext : guestReplies.worksNext;
  return {
    kind: "done",
    line: () => say(cell, name, isWaiting()),
    data,
    effects: () => deps.inviting.agent(cell.id, name, { role, by }),
  };
}

interface Wanted extends Typed {
  readonly cell: Cell;
  /** By the forge or the configuration, not by invitation. */
  readonly isDirector: boolean;
}

async function invitePerson(
  wanted: Wanted,
  { origin, deps }: { readonly origin: Origin; readonly deps: InviteDeps },
): Promise<Answer> {
  const { cell, name, role, forMs, isDirector } = wanted;
  const { registry, forge } = deps;
  const person = (await forge.person(name)) ?? knownAs(name, cell, deps);
  if (person === null) return refuse("not-found", guestReplies.noSuchUser(name));
  const before = registry.guests.find(cell.id, person.id);
  const isGuest = before !== null && isGuestAt(before, deps.clock.now());
  const isAboutDirector = role === "director" || (isGuest && before.role === "director");
  if (isAboutDirector && !isDirector)
    return refuse("refused", guestReplies.notForGuests(cell, `invite @${person.login} ${role}`));
  const by = origin.person.login;
  const id = cell.id;
  if (role === "none") {
    if (!isGuest) return refuse("not-found", guestReplies.noGuest(cell, person.login));
    const line = guestReplies.ended(cell, person.login);
    const effects = () => deps.inviting.endPerson(id, { userId: person.id, login: person.login }, by);
    return { kind: "done", line, data: { id, member: person.login, role: null }, effects };
  }
  if (person.id === (await forge.me()).id) return refuse("refused", guestReplies.ownAccount());
  if (await forge.isOrganization(person.login))
    return refuse("usage", guestReplies.noTeam(`@${person.login}`));
  if (person.id === origin.person.id) return refuse("refused", guestReplies.yourself(cell));
  const standing = await deps.rights.standing(person, cell.repository);
  if (standing.kind === "unknowable") return refuse("refused", replies.unknowable(standing.why));
  if (standing.role === null || !includesRole(standing.role, "observer"))
    return refuse("refused", guestReplies.cannotRead(person.login, cell.repository.fullName));
  return {
    kind: "done",
    line: () => {
      const guest = registry.guests.find(id, person.id);
      return guestReplies.invited(cell, person.login, { role, until: guest?.until ?? null });
    },
    data: { id, member: person.login, role },
    effects: () => {
      deps.inviting.person(id, { userId: person.id, login: person.login, role, forMs, by });
    },
  };
}

/** A guest whose account is gone, or is called otherwise now, can still be shown out. */
function knownAs(login: string, cell: Cell, { registry }: Pick<InviteDeps, "registry">): Person | null {
  const guest = registry.guests.of(cell.id).find((one) => one.login.toLowerCase() === login.toLowerCase());
  return guest === undefined ? null : { id: guest.userId, login: guest.login };
}
