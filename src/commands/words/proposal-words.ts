import { type Cell, shortId } from "../../cells/cell.ts";
import type { Mistake, Proposal } from "../../cells/registry/proposals.ts";
import { checksOf } from "../../config/repository-checks.ts";
import {
  code,
  details,
  fenced,
  join,
  type Markdown,
  marker,
  md,
  quote,
  raw,
  table,
} from "../../gitea/markdown.ts";
import { formatCount } from "../../units.ts";
import { hint } from "./card-findings.ts";
import type { CardDeps } from "./card-headline.ts";
import { planRows } from "./plan-words.ts";
import { moment, timeUtc } from "./run-words.ts";
import { teamOf } from "./team-words.ts";

// What is said of issues that were filed with the form of a mission proposal. Each mistake is a sentence for
// whoever filed it, without its full stop at the end where others follow.

const agentsHere = (agents: readonly string[]) =>
  agents.length === 0 ? "None is configured" : `Available: ${agents.join(", ")}`;
const meant = (nearest: string | null) => (nearest === null ? md`` : md` Did you mean ${code(nearest)}?`);

export const mistakes = {
  missing: (field: string) =>
    md`the heading ${code(`### ${field}`)} is missing: put it back, or file the form anew.`,
  double: (field: string) => md`the heading ${code(`### ${field}`)} occurs twice: no value may hold it.`,
  misplaced: (field: string) =>
    md`the heading ${code(`### ${field}`)} is not in its place: keep the order of the form.`,
  fence: () => md`the block that begins there does not end: end it with the line it begins with.`,
  noForm: () =>
    md`The hidden first line of the form is gone: put the comment ${code("lazarus:mission:1")} back, or file the form anew.`,
  noObjective: () => md`empty. Say what is to be true afterwards.`,
  noCriteria: () => md`empty. Say how one sees that it is done.`,
  tooLong: () => md`longer than 32 KB. Put the rest into a file of the repository, and name it.`,
  noAgent: (agents: readonly string[]) => md`empty. Name who is to work. ${agentsHere(agents)}.`,
  unknownAgent: (typed: string, agents: readonly string[], nearest: string | null) =>
    md`no agent ${code(typed)} here.${meant(nearest)} ${agentsHere(agents)}.`,
  emptyAgent: (typed: string) =>
    md`${code(typed)} names nobody on one side of a ${code("+")}. Write it as in ${code("allegro+ezra")}.`,
  agentTwice: (agent: string) => md`${agent} is named twice: each agent of a team has one turn.`,
  tooManyAgents: (count: number, most: number) =>
    md`${count} agents are too many: a team has at most ${most} (limits.team).`,
  agentUnavailable: (agent: string, why: string) => md`${agent} cannot be summoned: ${why}.`,
  otherRepository: (typed: string) => md`${code(typed)} is another repository: file the proposal there.`,
  otherThread: (typed: string) =>
    md`${code(typed)} is another thread: leave it empty, since a proposal is about its own issue.`,
  noTarget: (typed: string) =>
    md`${code(typed)} is no target: leave it empty, since a proposal is about its own issue.`,
  noBranch: (typed: string, fullName: string) => md`there is no branch ${code(typed)} in ${fullName}.`,
  badTtl: (typed: string) => md`${code(typed)} is not a duration from 1m to 90d, such as ${code("4h")}.`,
  unknownCheck: (typed: string, checks: readonly string[], nearest: string | null) =>
    md`no check ${code(typed)} here.${meant(nearest)} ${checks.length === 0 ? "None is configured: leave it empty" : `Available: ${checks.join(", ")}`}.`,
  tooManyChecks: (most: number) => md`more than ${most} names.`,
  badPath: (typed: string) =>
    md`${code(typed)} is not a path of the repository, such as ${code("docs/**")} or ${code("*.lock")}.`,
  allPaths: (typed: string) => md`${code(typed)} is every file: nothing could be made.`,
  tooManyPaths: (most: number) => md`more than ${most} lines.`,
  unfit: (why: Markdown) => why,
} as const;

/** A mistake as it is kept. */
export function mistakeOf(field: string | null, text: Markdown): Mistake {
  return { field, text: text.text };
}

/** The first line of the bot's comment on a proposal, until it is a cell's card. */
export function proposalMarker({ repository, number }: Pick<Proposal, "repository" | "number">): Markdown {
  return marker(`proposal:${repository.id}:${number}`);
}

/** What stands in the way of a proposal; whole, but for its marker. */
export function proposalText(proposal: Proposal, most: number): Markdown {
  if (proposal.state === "queued") {
    const { login } = proposal.author;
    return md`This proposal waits: ${most === 1 ? "a proposal" : `${most} proposals`} of ${login} ${most === 1 ? "waits" : "wait"} for a director's decision already (limits.proposals). It is planned as soon as one of them is decided.`;
  }
  if (proposal.state === "closed")
    return md`This proposal was withdrawn. Reopen the issue to propose it anew.`;
  return faulty(proposal);
}

function faulty({ mistakes: found }: Proposal): Markdown {
  const count = found.length === 1 ? "1 thing is" : `${found.length} things are`;
  const list = found.map(({ field, text }) =>
    field === null ? md`- ${raw(text)}` : md`- **${field}**: ${raw(text)}`,
  );
  return join(
    [
      md`This proposal cannot be planned yet. ${count} in the way:`,
      join(list, "\n"),
      md`Edit the issue; this comment follows.`,
    ],
    "\n\n",
  );
}

/** The card of a cell that was proposed, as long as nobody has decided about it; null: it is none. */
export function proposedCard(cell: Cell, deps: CardDeps): Markdown | null {
  if (cell.state !== "proposed" || !cell.waitsForApproval) return null;
  const proposal = deps.registry.proposals.ofCell(cell.id);
  if (proposal === null) return null;
  if (proposal.state === "faulty") return faulty(proposal);
  const { agents } = teamOf(cell, deps.registry);
  const people = deps.config.directors.length === 0 ? "" : ` (${deps.config.directors.join(", ")})`;
  const hash = shortHash(cell);
  return join(
    [
      md`**plan: ${agents.join(", then ")}** · cell ${code(shortId(cell.id))} · waits for approval by a director${people}`,
      quote(cell.title, 300),
      md`${code(`/lazarus approve ${hash}`)} starts it, ${hint(cell, "decline", "why")} turns it down.`,
      table(["", ""], rowsOf(cell, proposal, deps)),
      details(`The brief (${hash}…)`, fenced(cell.brief, 48_000)),
    ],
    "\n\n",
  );
}

/** As much of the hash of a plan's brief as people type. */
export function shortHash({ briefSha256 }: Pick<Cell, "briefSha256">): string {
  return briefSha256.slice(0, 8);
}

function rowsOf(cell: Cell, proposal: Proposal, deps: CardDeps): [string, string | Markdown][] {
  const { limits } = deps.config;
  const { agents } = teamOf(cell, deps.registry);
  const known = agents.flatMap((name) => deps.config.agents.get(name) ?? []);
  const { wish, comments } = proposal;
  const issue = cell.number;
  const ttlMs = wish?.ttlMs ?? limits.ttlMs;
  const configured = checksOf(deps.config.checks, cell.repository.fullName);
  return [
    ...planRows({ cell, agents: known, issue, limits, ttlMs, wish, configured }),
    ["decided by", `a director, until ${moment(cell.expiresAt)}; then it expires`],
    ...(comments === 0
      ? []
      : [
          [
            "left out",
            md`${formatCount(comments, "comment")}: ${code(`/lazarus approve ${shortHash(cell)} --with-comments`)} adds what was not edited, marked`,
          ] as [string, Markdown],
        ]),
  ];
}

/** Said on the card of a cell whose proposal reads otherwise by now. */
export function editedLines(cell: Cell, deps: CardDeps): Markdown[] {
  if (!["proposed", "active", "idle"].includes(cell.state) || cell.waitsForApproval) return [];
  const proposal = deps.registry.proposals.ofCell(cell.id);
  if (proposal?.editedAt == null) return [];
  const at = timeUtc(proposal.editedAt, deps.clock.now());
  return [
    md`The issue was edited since (${at}): ${cell.agent} works from ${code(shortHash(cell))}; ${code(`/lazarus tell ${shortId(cell.id)} …`)} brings the change to it.`,
  ];
}
