import { restOf } from "../cells/budget.ts";
import { type Cell, isVisit, type Run, shortId, targetOf } from "../cells/cell.ts";
import { LOCAL_RUNNER } from "../cells/runner-jobs.ts";
import { toIso } from "../clock.ts";
import { code, table } from "../gitea/markdown.ts";
import { cellsHere } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import type { Answer, Deps, Origin, Verb } from "./command.ts";
import { holdText, quietLine, restLine, usageLine } from "./words/budget-words.ts";
import { cardContent } from "./words/card.ts";
import { viewOf } from "./words/cell-view.ts";
import { guestStatus } from "./words/guest-words.ts";
import { healthOf } from "./words/health-words.ts";
import { replies } from "./words/replies.ts";
import { moment } from "./words/run-words.ts";
import { usage } from "./words/said-words.ts";
import { onOneTerminalLine } from "./words/sentence.ts";
import { COLUMNS, columns, rowOf } from "./words/status-row.ts";
import { teamOf } from "./words/team-words.ts";

export const status: Verb = {
  name: "status",
  summary: "how one cell is, or a table of this thread's cells",
  usage: "status [CELL]",
  examples: ["status", "status 4f1c0b7e"],
  who: "read",
  flags: {},
  isReadOnly: true,
  async run(command, origin, deps) {
    const typed = command.words[0];
    if (typed !== undefined) return statusOfOne(typed, origin, deps);
    const cells =
      origin.thread === null
        ? deps.registry.list(
            command.flags["--all"] === true
              ? ["proposed", "active", "idle", "closing", "archived", "destroyed"]
              : undefined,
          )
        : cellsHere(origin.thread, deps);
    return statusOfMany(cells, origin, deps);
  },
};

async function statusOfOne(typed: string, origin: Origin, deps: Deps): Promise<Answer> {
  const found = await findCell(typed, { verb: "status", role: "observer" }, { origin, deps });
  if ("refusal" in found) return found.refusal;
  const card = cardContent(found.cell, deps);
  const last = deps.registry.lastRun(found.cell.id);
  const view = viewOf(found.cell, deps, holdText(found.cell, deps));
  const used = usageLine(found.cell, deps.registry.lastKeptRun(found.cell.id), deps);
  const detail = [
    columns([[...COLUMNS], rowOf(found.cell, shown(found.cell, deps), rowAround(found.cell, deps))]),
    `id       ${found.cell.id}`,
    `title    ${found.cell.title}`,
    `branch   ${found.cell.publishedBranch ?? found.cell.branch}, from ${found.cell.baseName} at ${found.cell.baseCommit.slice(0, 12)}`,
    `runs     ${last?.n ?? 0}`,
    ...(used === "" ? [] : [`usage    ${used}`]),
    ...[restLine(found.cell, deps), quietLine(found.cell, deps.registry)].flatMap((one) =>
      one === null ? [] : [`rests    ${one.text}`],
    ),
    ...(["proposed", "active", "idle"].includes(found.cell.state)
      ? [`ends     ${moment(found.cell.expiresAt)}`]
      : []),
    ...guestStatus(deps.registry.guests.of(found.cell.id), deps.clock.now()),
    ...(found.cell.waitsForApproval ? [`brief    ${found.cell.briefSha256.slice(0, 12)}`] : []),
    ...(found.cell.runner === LOCAL_RUNNER ? [] : [`runner   ${found.cell.runner}`]),
    ...healthLines(found.cell),
    ...saidText(found.cell),
    ...(found.cell.reason === null ? [] : [`reason   ${found.cell.reason}`]),
    ...(view.refused_hosts.length === 0 ? [] : [`refused  ${view.refused_hosts.slice(0, 10).join(", ")}`]),
    ...deps.registry
      .history(found.cell.id)
      .map((row) => `${new Date(row.at).toISOString()}  ${row.to}  ${row.why}`),
  ];
  return {
    kind: "done",
    reply: { markdown: card, text: detail.join("\n") },
    line: { markdown: card, text: detail.join("\n") },
    data: { cells: [view] },
  };
}

/** The run that a row tells of: of a visit only while it is under way. */
function shown(cell: Cell, { registry }: Pick<Deps, "registry">): Run | null {
  const last = registry.lastRun(cell.id);
  return last !== null && isVisit(last) && cell.state !== "active" ? registry.lastKeptRun(cell.id) : last;
}

function healthLines(cell: Cell): string[] {
  const seen = healthOf(cell);
  if (seen === null) return [];
  const said =
    cell.beat === null ? [] : [cell.beat.state, cell.beat.message ?? ""].filter((one) => one !== "");
  return [
    `health   ${seen.health} since ${toIso(seen.since)}: ${onOneTerminalLine(seen.reason)}`,
    `seen     ${toIso(seen.seenAt)}`,
    ...(said.length === 0 ? [] : [`says     ${onOneTerminalLine(said.join(", "))}`]),
  ];
}

/** What its agent said and did last, as text. */
function saidText({ harvest }: Cell): string[] {
  const said = harvest?.said ?? null;
  if (said === null) return [];
  const line = (words: string) => onOneTerminalLine(words).replace(/\s+/g, " ");
  const how = (one: { exit: number | null; isFailed: boolean }) =>
    one.exit === null ? (one.isFailed ? ", failed" : "") : `, exit ${one.exit}`;
  return [
    ...(said.words === "" ? [] : [`said     ${line(said.words)}`]),
    ...said.ran.slice(-3).map((one) => `ran      ${line(one.command)}${how(one)}`),
    ...said.denied.map((one) => `denied   ${line(one.what)}${one.why === "" ? "" : `: ${line(one.why)}`}`),
    ...(usage(said) === "" ? [] : [`used     ${usage(said)}`]),
  ];
}

async function statusOfMany(cells: readonly Cell[], origin: Origin, deps: Deps): Promise<Answer> {
  if (origin.thread !== null) {
    const standing = await deps.rights.standing(origin.person, origin.thread.repository);
    if (standing.kind === "unknowable" || standing.role === null)
      return { kind: "refused", code: "not-found", reply: replies.noCellHere() };
    if (cells.length === 0) return { kind: "refused", code: "not-found", reply: replies.noCellHere() };
  }
  const rows = cells.map((cell) => rowOf(cell, shown(cell, deps), rowAround(cell, deps)));
  const inMarkdown = cells.map((cell, index) => [
    code(shortId(cell.id)),
    ...(rows[index] ?? []).slice(1, 3),
    targetOf(cell),
    ...(rows[index] ?? []).slice(4),
  ]);
  const reply = { markdown: table([...COLUMNS], inMarkdown), text: columns([[...COLUMNS], ...rows]) };
  return {
    kind: "done",
    reply,
    line: reply,
    data: { cells: cells.map((cell) => viewOf(cell, deps, holdText(cell, deps))) },
  };
}

function rowAround(cell: Cell, deps: Pick<Deps, "registry" | "steps" | "clock" | "config">) {
  const { registry, steps, clock } = deps;
  const checks = steps.checks.results(cell);
  return { now: clock.now(), team: teamOf(cell, registry), checks, rest: restOf(cell, deps) };
}
