import { type Cell, shortId } from "../../cells/cell.ts";
import { moment } from "./run-words.ts";
import { asTyped, c, lines, list, type Sentence, say } from "./sentence.ts";

// Every sentence that answers a command. Cards stand in card.ts, pull requests in pull-request.ts.

/** `did you mean` for a mistyped word. */
function hint(nearest: string | null): Sentence {
  return nearest === null ? say`` : say` Did you mean ${c(nearest)}?`;
}

export const replies = {
  unknownVerb: (typed: string, nearest: string | null) =>
    nearest === null
      ? say`No command ${c(typed)}. ${asTyped("help")} lists them.`
      : say`No command ${c(typed)}.${hint(nearest)}`,
  unknownFlag: (typed: string, nearest: string | null) =>
    say`There is no flag ${c(typed)} here.${hint(nearest)}`,
  tooMany: () => say`A comment holds up to 10 commands; the rest of this one was left out.`,
  editedBeforeRead: () => say`That comment was edited before I read it: type the command again.`,
  tooLargeToRead: () =>
    say`A comment here is too large for me to read, so I do nothing about it. If it held a command, type that in a comment of its own.`,
  /** `line` is what was typed, with `/lazarus` where the bot was mentioned. */
  mentioned: (line: string) =>
    say`I read lines of a comment that begin with ${c("/lazarus")}. Typed so, it is done: ${c(line)}`,
  mentionedOnly: () =>
    say`I read lines of a comment that begin with ${c("/lazarus")}. ${asTyped("help")} lists what can be typed.`,
  inIssueText: (line: string) =>
    say`A command in the text of an issue is not run. Typed in a comment, it is: ${c(line)}`,
  notMerged: (cell: Cell, why: string) =>
    say`cell ${c(shortId(cell.id))} was neither merged nor closed: ${why}.`,
  held: (why: string) =>
    say`No new run starts now${why === "" ? "" : `: ${why}`}. What runs goes on; ${asTyped("resume")} lets runs start again.`,
  notHeld: () => say`Nothing is held: runs start as places come free.`,
  resumed: () => say`Runs start again as places come free.`,
  notOperator: (verb: string, login: string) =>
    say`${c(verb)} was not done: it is for operators, the people whom directors names in lazarus.yaml, and ${login} is none.`,
  noItems: (cell: Cell) => say`Nobody has asked for changes in a review of cell ${c(shortId(cell.id))}.`,
  takesNoWords: (verb: string) =>
    say`${c(verb)} takes no words for the agent, so nothing was done. ${asTyped("revive CELL -- words")} gives them to the agent of a cell, ${asTyped("summon AGENT -- words")} begins a new one with them.`,
  tooManyWords: (mostBytes: number) =>
    say`That is more than ${mostBytes / 1024} KB of words: put it into the issue or a file, and say where it is.`,
  usage: (usage: string) => say`Usage: ${asTyped(usage)}`,

  unknownAgent: (typed: string, agents: readonly string[], nearest: string | null) =>
    agents.length === 0
      ? say`No agent ${c(typed)} here: none is configured.`
      : say`No agent ${c(typed)} here.${hint(nearest)} Available: ${agents.join(", ")}.`,
  notATeam: (typed: string) =>
    say`${c(typed)} is no team: name two agents or more with ${c("+")} between them, in the order of their turns, such as ${c("allegro+ezra")}.`,
  namedTwice: (agent: string) => say`${agent} is named twice: each agent of a team has one turn.`,
  tooManyAgents: (count: number, most: number) =>
    say`${count} agents are too many: a team has at most ${most} (limits.team).`,
  whichAgent: (agents: readonly string[]) =>
    agents.length === 0
      ? say`No agent is configured here.`
      : say`Which agent? Available: ${agents.join(", ")}.`,
  agentUnavailable: (agent: string, why: string) => say`${agent} was not summoned: ${why}`,

  /** Missing, unserved and unreadable repositories get one and the same sentence. */
  noSuchRepository: (fullName: string) =>
    say`There is no repository ${fullName} that I serve and you can read.`,
  noSuchThread: (target: string) => say`There is no issue or pull request ${target}.`,
  notATarget: (typed: string) =>
    say`${c(typed)} is not a target: ${c("owner/repo")} or ${c("owner/repo#262")}.`,
  wouldLeak: (fullName: string) =>
    say`${fullName} is private, and not everybody who can read this thread may read it: type the command there.`,
  lacksPermission: (
    verb: string,
    at: { login: string; permission: string; needs: string; fullName: string; people: readonly string[] },
  ) => {
    const first = say`${c(verb)} was not done: ${at.login} has ${at.permission} permission on ${at.fullName}, ${c(verb)} needs ${at.needs}.`;
    return at.people.length === 0 ? first : lines(first, say`People who can: ${at.people.join(", ")}.`);
  },
  summonRefused: (
    agent: string,
    at: { login: string; permission: string; fullName: string; people: readonly string[] },
  ) => {
    const first = say`${agent} was not summoned: ${at.login} has ${at.permission} permission on ${at.fullName}, ${c("summon")} needs write.`;
    return at.people.length === 0 ? first : lines(first, say`People who can: ${at.people.join(", ")}.`);
  },
  unknowable: (why: string) => say`I cannot tell what you may do here, so I do nothing: ${why}.`,
  botCannotPush: (fullName: string) =>
    say`I have no write permission on ${fullName}, so I could not publish what comes of it. Give my account write permission.`,
  archived: (fullName: string) => say`${fullName} is archived: nothing can be pushed to it.`,
  mirror: (fullName: string) => say`${fullName} is a mirror of another server: nothing can be pushed to it.`,
  empty: (fullName: string) => say`${fullName} is empty: push a first commit, then summon again.`,
  noSuchBranch: (branch: string, fullName: string) => say`There is no branch ${c(branch)} in ${fullName}.`,
  headIsGone: (target: string) => say`The branch of ${target} is gone: there is nothing to start from.`,
  closedPullRequest: (target: string) => say`${target} is closed: reopen it, or summon on an issue.`,
  badTtl: (typed: string) =>
    say`${c("--ttl")} takes a duration from 1m to 90d, such as ${c("4h")}, not ${c(typed)}.`,
  badExtension: (typed: string) =>
    say`${c("extend")} takes a duration of 1m or more, such as ${c("4h")}, not ${c(typed)}.`,
  extendsTooFar: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} would live longer than 90 days from now: type a shorter time.`,
  cannotExtend: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is ${cell.state}: only a cell that waits, works or rests can be extended.`,
  badAmount: (flag: string, typed: string | boolean | undefined) =>
    flag === "--cost"
      ? say`${c(flag)} takes USD, such as ${c("5")} or ${c("0.50")}, not ${c(String(typed))}.`
      : say`${c(flag)} takes a whole number of tokens, such as ${c("200000")}, not ${c(String(typed))}.`,
  noBudget: (cell: Cell, unit: string, key: string) =>
    say`Cell ${c(shortId(cell.id))} has no budget of ${unit} that could be raised (${key} is 0), so nothing there waits for more.`,
  extended: (
    cell: Cell,
    { isLonger, has }: { readonly isLonger: boolean; readonly has: readonly string[] },
  ) =>
    say`cell ${c(shortId(cell.id))}: ${[...(isLonger ? [`ends ${moment(cell.expiresAt)}`] : []), ...has].join(", ")}`,
  baseOnPullRequest: () => say`A cell on a pull request starts from its head: leave ${c("--base")} out.`,

  summoned: (cell: Cell, place: { limit: string; place: number } | null) => {
    if (cell.waitsForApproval)
      return say`cell ${c(shortId(cell.id))}: ${cell.agent} on ${at(cell)} waits for approval by a director`;
    if (place !== null)
      return say`cell ${c(shortId(cell.id))}: ${cell.agent} waits for a place on ${at(cell)}: ${ordinal(place.place)} in line; ${place.limit}`;
    return say`cell ${c(shortId(cell.id))}: ${cell.agent} starts on ${at(cell)}`;
  },
  summonedElsewhere: (cell: Pick<Cell, "id" | "agent" | "repository" | "number">) =>
    say`${cell.agent} works on ${at(cell)}: cell ${c(shortId(cell.id))}, its card is there.`,
  /** Said with a summon: what is at work there already. */
  besides: (cells: readonly Cell[]) =>
    lines(
      ...cells.map(
        (cell) =>
          say`There is a cell here already: ${c(shortId(cell.id))}, ${cell.agent}, ${cell.state}. ${talkTo(cell)}`,
      ),
      say`The new one works beside it.`,
    ),

  noSuchCell: (typed: string) => say`There is no cell ${c(typed)} here that you may see.`,
  ambiguousCell: (typed: string, ids: readonly string[]) =>
    say`${c(typed)} could be ${list(ids.map(shortId))}: type more of it.`,
  prefixTooShort: (typed: string) =>
    say`${c(typed)} is too short for a cell's id: type at least 4 characters.`,
  noCellHere: () => say`There is no cell on this thread.`,
  /** `words` must stand after the CELL. */
  whichCell: (
    command: { verb: string; words: string },
    cells: readonly Pick<Cell, "id" | "agent" | "state">[],
  ) =>
    lines(
      say`Which cell? There is:`,
      ...cells.map((cell) => say`- ${c(shortId(cell.id))}: ${cell.agent}, ${cell.state}`),
      say``,
      say`Type its id, as in ${asTyped(`${command.verb} ${shortId(cells[0]?.id ?? "")} ${command.words}`.trim())}.`,
    ),
  nameACell: () => say`Which cell? Give its id, or the first 4 characters of it.`,

  nothingRuns: (cell: Cell) => say`Cell ${c(shortId(cell.id))} has no run to stop: it is ${cell.state}.`,
  stopping: (cell: Cell) => say`cell ${c(shortId(cell.id))}: stopping ${cell.agent}`,
  alreadyRuns: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is at work already: type it again when its run has ended, or ${c(`stop ${shortId(cell.id)}`)} it first.`,
  alreadyWaits: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} has a run in line already: ${c(`stop ${shortId(cell.id)}`)} takes it out of the line, then type this again.`,
  cannotRevive: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is ${cell.state}: only an idle or an archived cell can be revived.`,
  neverMade: (cell: Cell) => say`Cell ${c(shortId(cell.id))} was never started: summon again.`,
  told: (cell: Cell, agent: string, waiting: number) =>
    waiting < 2
      ? say`cell ${c(shortId(cell.id))}: the message waits for ${agent}'s next turn`
      : say`cell ${c(shortId(cell.id))}: ${waiting} messages wait for ${agent}'s next turn`,
  tellsNothing: (cell: Cell) =>
    say`What is the agent to be told? Type it behind the command: ${asTyped(`tell ${shortId(cell.id)} keep the old tests`)}.`,
  tellsArchived: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is archived: ${asTyped(`revive ${shortId(cell.id)} -- words`)} brings it back and says them to its agent (directors).`,
  tellsClosing: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is being closed, or was: nothing more can be told there. Summon again for more work.`,
  tellsSecret: () =>
    say`That holds a secret that I know, so I did not pass it on. Delete the comment, and say it without the secret.`,
  tooManyMessages: (cell: Cell, most: number) =>
    say`${most} messages wait in cell ${c(shortId(cell.id))} already: wait for its next turn, or delete some of the comments.`,
  cannotBeTold: (agent: string, why: string) => say`${agent} cannot be told anything: ${why}`,
  noSuchMessage: (cell: Cell, typed: string) =>
    say`Cell ${c(shortId(cell.id))} has no message ${c(typed)}. ${c(`lazarus status ${shortId(cell.id)} --json`)} lists them.`,
  notWaitingMessage: (cell: Cell, message: { readonly id: number; readonly state: string }) =>
    say`Message ${message.id} of cell ${c(shortId(cell.id))} is ${message.state} already.`,
  notYourMessage: (login: string) => say`That message is ${login}'s: only ${login} can take it back.`,
  retracted: (cell: Cell, id: number) => say`cell ${c(shortId(cell.id))}: message ${id} is retracted`,
  reviving: (cell: Cell, place: { limit: string; place: number } | null) =>
    place === null
      ? say`cell ${c(shortId(cell.id))}: ${cell.agent} goes on`
      : say`cell ${c(shortId(cell.id))}: ${cell.agent} waits for a place: ${ordinal(place.place)} in line; ${place.limit}`,
  /** Of a cell that was lost with its runner. */
  startingAnew: (cell: Cell, place: { limit: string; place: number } | null) =>
    place === null
      ? say`cell ${c(shortId(cell.id))}: ${cell.agent} begins anew, from ${cell.publishedTip === null ? "its base" : "what was pushed"}`
      : say`cell ${c(shortId(cell.id))}: waits for a place before it begins anew: ${ordinal(place.place)} in line; ${place.limit}`,
  bringingBack: (cell: Cell, place: { limit: string; place: number } | null) =>
    place === null
      ? say`cell ${c(shortId(cell.id))}: being brought back from its archive, then ${cell.agent} goes on`
      : say`cell ${c(shortId(cell.id))}: waits for a place before it is brought back: ${ordinal(place.place)} in line; ${place.limit}`,
  beingDestroyed: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is being destroyed: it can no longer be revived.`,
  /** `letGo`: what a director types to have it published; null where nobody may. */
  cannotPublish: (cell: Cell, why: readonly string[], letGo: string | null) =>
    lines(
      say`Cell ${c(shortId(cell.id))} was not closed: what it made cannot be published, since ${why.join("; ")}.`,
      ...(letGo === null ? [] : [say`${asTyped(letGo)} publishes it (directors).`]),
      say`${asTyped(`close ${shortId(cell.id)} --discard`)} closes it without publishing; its seal keeps the work.`,
    ),
  cannotClose: (cell: Cell) =>
    cell.state === "archived" || cell.state === "destroyed"
      ? say`Cell ${c(shortId(cell.id))} is closed already: it is ${cell.state}.`
      : say`Cell ${c(shortId(cell.id))} is ${cell.state}: only a cell that is active or idle can be closed.`,
  publishing: (cell: Cell) =>
    say`cell ${c(shortId(cell.id))}: publishing what was held back, at ${c(cell.harvest?.tip?.slice(0, 10) ?? "")}`,
  nothingUnpublished: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} has nothing that is not published: it is ${cell.state}.`,
  nothingHeldBack: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} has nothing to release: it is ${cell.state}.`,
  neverPublished: (cell: Cell, why: readonly string[]) =>
    say`Cell ${c(shortId(cell.id))} is not published, whoever asks: ${why.join("; ")}. Let the agent take it out of its history, or ${asTyped(`close ${shortId(cell.id)} --discard`)} closes it without publishing.`,
  needsAllowProtected: (cell: Cell, paths: readonly string[], command: string) =>
    say`Cell ${c(shortId(cell.id))} changes what runs next: ${paths.join("; ")}. Look at it, then ${asTyped(command)}.`,
  needsAllowSecret: (cell: Cell, why: readonly string[], command: string) =>
    say`Cell ${c(shortId(cell.id))} is held back: ${why.join("; ")}. Where that value is no secret, ${asTyped(command)} releases it in this cell.`,
  noSecretToAllow: (cell: Cell, name: string, shown: readonly string[]) =>
    shown.length === 0
      ? say`Cell ${c(shortId(cell.id))} is not held back for ${c(name)}: only the value of a variable in an agent's env can be let go, where the card names it.`
      : say`Cell ${c(shortId(cell.id))} is not held back for ${c(name)}: what can be let go is ${shown.join(", ")}.`,
  closing: (cell: Cell) => say`cell ${c(shortId(cell.id))}: closing`,
  notArchived: (cell: Cell) =>
    cell.state === "closing"
      ? say`Cell ${c(shortId(cell.id))} is still being closed: type it again when its card says that it is archived.`
      : say`Cell ${c(shortId(cell.id))} is ${cell.state}, not archived: type ${asTyped(`close ${shortId(cell.id)}`)} first, or ${asTyped(`destroy ${shortId(cell.id)} --force`)} discards what was not published.`,
  comesBack: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} is being brought back for a run: type ${asTyped(`stop ${shortId(cell.id)}`)} first, or ${asTyped(`destroy ${shortId(cell.id)} --force`)}.`,
  alreadyDestroyed: (cell: Cell) => say`Cell ${c(shortId(cell.id))} is destroyed already.`,
  destroying: (cell: Cell) => say`cell ${c(shortId(cell.id))}: destroying`,
  notWaiting: (cell: Cell) =>
    say`Cell ${c(shortId(cell.id))} does not wait for approval: it is ${cell.state}.`,
  approved: (cell: Cell) =>
    say`cell ${c(shortId(cell.id))}: approved, brief ${c(cell.briefSha256.slice(0, 12))}`,
  approvedPlan: (cell: Cell, sha256: string, withWords: string) =>
    say`cell ${c(shortId(cell.id))}: approved, brief ${c(sha256.slice(0, 12))}${withWords}`,
  yesIsForTerminals: (cell: Cell) =>
    say`${c("--yes")} is for the command line. Read the plan, then type ${asTyped(`approve ${cell.briefSha256.slice(0, 8)}`)}.`,
  onlyProposals: () =>
    say`${c("--with-comments")} is for proposals: a summon's brief is as it was when the command was typed.`,
  otherHash: (cell: Cell, typed: string) =>
    say`${c(typed)} is not the plan of cell ${c(shortId(cell.id))}: look at it again, it is ${c(cell.briefSha256.slice(0, 8))}.`,
  hashNeeded: (cell: Cell) =>
    say`Name the plan that you read: ${asTyped(`approve ${shortId(cell.id)} ${cell.briefSha256.slice(0, 8)}`)}, or approve whatever it is with ${c("--yes")}.`,
  planTooYoung: (cell: Cell) =>
    say`This plan has stood for less than a minute. Read it, then type ${asTyped(`approve ${cell.briefSha256.slice(0, 8)}`)}.`,
  proposalChanged: (cell: Cell, edit: { at: number; author: string; sha256: string }) =>
    say`The proposal of cell ${c(shortId(cell.id))} was changed ${moment(edit.at)}, by ${edit.author} as far as I know: look at the new plan, ${c(edit.sha256.slice(0, 8))}.`,
  proposalFaulty: (cell: Cell) =>
    say`The proposal of cell ${c(shortId(cell.id))} cannot be planned as it is now: its comment says why. Nothing was approved.`,
  proposalGone: (cell: Cell) =>
    say`The issue of cell ${c(shortId(cell.id))} is gone: there is nothing to approve. ${asTyped(`decline ${shortId(cell.id)}`)} ends it.`,
  declined: (cell: Cell) => say`cell ${c(shortId(cell.id))}: declined`,
  noLog: (cell: Cell) => {
    if (cell.state === "destroyed") return say`Cell ${c(shortId(cell.id))} is destroyed, its logs with it.`;
    return say`Cell ${c(shortId(cell.id))} has no log yet: no run has started.`;
  },
  noSetup: (cell: Cell) => say`Cell ${c(shortId(cell.id))} was not set up: there is no such log.`,
  noCheck: (cell: Cell, name: string) =>
    say`No check ${c(name)} has run in cell ${c(shortId(cell.id))}: there is no such log.`,
  badTail: (typed: string) => say`${c("--tail")} takes a number of lines from 1 to 1000, not ${c(typed)}.`,
  withdrawn: () => "withdrawn: its comment was deleted",
  deadJob: (verb: string, why: string) => say`${c(verb)} could not be carried out: ${why}.`,
} as const;

/** How somebody goes on with a cell that lives. */
function talkTo(cell: Cell): Sentence {
  const id = shortId(cell.id);
  switch (cell.state) {
    case "idle":
      return say`${asTyped(`tell ${id} your words`)} lets it go on with them.`;
    case "active":
      return say`${asTyped(`tell ${id} your words`)} says something to it, ${asTyped(`logs ${id}`)} shows what it does, ${asTyped(`stop ${id}`)} ends its run and keeps the work.`;
    case "proposed":
      return say`${asTyped(`stop ${id}`)} withdraws it.`;
    default:
      return say`${asTyped(`status ${id}`)} says how it is.`;
  }
}

function at(cell: Pick<Cell, "repository" | "number">): string {
  return `${cell.repository.fullName}#${cell.number}`;
}

/** `1st`, `2nd`, `3rd`, `4th` … */
export function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  const ending = teen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${ending}`;
}
