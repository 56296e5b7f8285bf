import { amountOf } from "../../cells/budget.ts";
import type { NewCell } from "../../cells/registry/cell-row.ts";
import type { Wish } from "../../cells/registry/proposals.ts";
import type { AgentConfig, Config } from "../../config/config.ts";
import type { RepositoryChecks } from "../../config/repository-checks.ts";
import { details, fenced, join, md, table } from "../../gitea/markdown.ts";
import { formatCount } from "../../units.ts";
import { confines, span } from "./run-words.ts";
import { onOneTerminalLine, type Sentence } from "./sentence.ts";
import { columns } from "./status-row.ts";

/** What a `summon` or a `team` would make, or a proposal asks for. */
export interface Planned {
  readonly cell: Omit<NewCell, "createdAt" | "expiresAt">;
  /** In the order of their turns. */
  readonly agents: readonly AgentConfig[];
  /** Null: an issue of its own would be opened first. */
  readonly issue: number | null;
  readonly limits: Pick<Config["limits"], "runMs" | "costUsd" | "tokens" | "turns">;
  readonly ttlMs: number;
  /** Null: it is no proposal. */
  readonly wish: Wish | null;
  /** What lazarus.yaml says of the target's checks; null: there are none. */
  readonly configured: RepositoryChecks | null;
}

/** What would happen, as rows by their names. Nothing was changed for it. */
export function planRows({
  cell,
  agents,
  issue,
  limits,
  ttlMs,
  wish,
  configured,
}: Planned): [string, string][] {
  const { fullName } = cell.repository;
  const where = issue === null ? `${fullName}, on an issue of its own` : `${fullName}#${issue}`;
  const to =
    cell.delivery === "branch" ? `to ${cell.branch} itself` : `to a draft into ${cell.mergeInto.branch}`;
  const from = `from ${cell.baseName} at ${cell.baseCommit.slice(0, 10)}`;
  const isTeam = agents.length > 1;
  return [
    ["target", `${where}, ${from}, ${to}`],
    ...agents.map((agent, at): [string, string] => {
      const after =
        at === 0 ? "executor" : `executor, goes on from ${agents[at - 1]?.name ?? ""}'s hand-over`;
      return [agent.name, `${after} · ${agent.preset ?? "a command"} · ${confines(agent)}`];
    }),
    [
      "limits",
      [
        `${span(limits.runMs)} ${isTeam ? "a turn" : "a run"}`,
        `${span(ttlMs)} in all`,
        ...(limits.costUsd === 0 ? [] : [amountOf("cost", limits.costUsd)]),
        ...(limits.tokens === 0 ? [] : [amountOf("tokens", limits.tokens)]),
        ...(limits.turns === 0 ? [] : [formatCount(limits.turns, "turn")]),
      ].join(", "),
    ],
    ...checksRow(configured, wish),
    ...(wish === null ? startRow(cell) : untouchedRow(wish)),
  ];
}

function startRow({ approval }: Pick<NewCell, "approval">): [string, string][] {
  return [
    ["starts", approval === null ? "as soon as there is a place" : `after a director's word: ${approval}`],
  ];
}

/** What is run on what is pushed: which names the base branch's own file has is known then. */
function checksRow(configured: RepositoryChecks | null, wish: Wish | null): [string, string][] {
  if (wish !== null && wish.checks !== null) return [["checks", wish.checks.join(", ")]];
  const theirs = configured?.from === "branch" ? ["those of .lazarus.yml"] : [];
  const names = [...(configured?.checks.keys() ?? []), ...theirs];
  return names.length === 0 ? [] : [["checks", names.join(", ")]];
}

function untouchedRow({ untouched }: Wish): [string, string][] {
  return untouched.length === 0 ? [] : [["not to be touched", untouched.join(", ")]];
}

/** The same for people, with the brief. */
export function planText(planned: Planned): Sentence {
  const rows = planRows(planned);
  const names = planned.agents.map((one) => one.name).join(", then ");
  const { brief, briefSha256 } = planned.cell;
  const parts = [
    md`**plan: ${names}**. Nothing was changed.`,
    table(["", ""], rows),
    details(`The brief (${briefSha256.slice(0, 8)})`, fenced(brief, 16_000)),
  ];
  const shown = rows.map((row) => row.map((part) => onOneTerminalLine(part)));
  return {
    markdown: join(parts, "\n\n"),
    text: `plan: ${names}; nothing was changed\n${columns([...shown, ["brief", briefSha256.slice(0, 8)]])}`,
  };
}
