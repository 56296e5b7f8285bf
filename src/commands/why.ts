import type { Cell, Run } from "../cells/cell.ts";
import { shortId } from "../cells/cell.ts";
import { EXITS } from "../cells/exit.ts";
import { heldFor, isRetryInLine } from "../cells/steps/decide.ts";
import { toIso } from "../clock.ts";
import { findCell } from "./access/find-cell.ts";
import type { Deps, Verb } from "./command.ts";
import { quietLine, restLine, usageLine } from "./words/budget-words.ts";
import { healthOf } from "./words/health-words.ts";
import { refusedHosts } from "./words/refused-hosts.ts";
import { ordinal } from "./words/replies.ts";
import { endOfRun } from "./words/run-words.ts";
import { whyNothing } from "./words/said-words.ts";
import { asTyped, c, lines, type Sentence, say } from "./words/sentence.ts";

export const why: Verb = {
  name: "why",
  summary: "explains the last decision about a cell: permission, limit, breaker, exit",
  usage: "why [CELL]",
  examples: ["why", "why 4f1c0b7e"],
  who: "read",
  flags: {},
  isReadOnly: true,
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "steps" | "config">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "why", role: "observer" },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const history = deps.registry.history(cell.id);
    const last = history.at(-1);
    const reply = lines(
      say`Cell ${c(shortId(cell.id))} is ${cell.state}${last === undefined ? "" : ` since ${toIso(last.at)}: ${last.why} (${last.who})`}.`,
      ...reasons(cell, deps),
    );
    return {
      kind: "done",
      reply,
      line: reply,
      data: {
        ...{ id: cell.id, state: cell.state, reason: cell.reason },
        ...{ health: cell.health, health_reason: healthOf(cell)?.reason ?? null },
        history: history.map((row) => ({ ...row, at: toIso(row.at) })),
      },
    };
  },
};

function reasons(cell: Cell, deps: Pick<Deps, "steps" | "registry" | "config">): Sentence[] {
  const last = deps.registry.lastRun(cell.id);
  const run = deps.registry.lastKeptRun(cell.id) ?? last;
  const said: Sentence[] = [];
  if (cell.waitsForApproval) said.push(say`It waits for a director's approval: ${cell.approval ?? ""}.`);
  else if (cell.reason !== null) said.push(say`${cell.reason}`);
  const seen = healthOf(cell);
  if (seen !== null) {
    said.push(
      say`It is ${seen.health} since ${toIso(seen.since)}: ${seen.reason}. Its last sign of life was at ${toIso(seen.seenAt)}.`,
    );
  }
  const blocked = run === null ? null : deps.steps.blockedBy(run);
  if (blocked !== null)
    said.push(
      say`Its run is ${ordinal(blocked.place)} in line: ${blocked.limit}. It starts by itself when a place is free.`,
    );
  if (run?.state === "ended") said.push(...exitReasons(run));
  if (cell.state === "idle") said.push(...nothingReasons(cell));
  if (last !== null && isRetryInLine(last) && last.notBefore !== null)
    said.push(
      say`Run ${last.n} starts by itself at ${toIso(last.notBefore)}; until then nothing is published.`,
    );
  if (cell.breaker !== null)
    said.push(
      say`Nothing is tried again by itself, because ${cell.breaker}; ${asTyped(`revive ${shortId(cell.id)}`)} starts it again.`,
    );
  for (const line of [restLine(cell, deps), quietLine(cell, deps.registry)])
    if (line !== null) said.push(line);
  const used = usageLine(cell, run, deps);
  if (used !== "") said.push(say`Used so far: ${used}.`);
  for (const held of heldFor(cell)) said.push(say`Held back: ${held}`);
  if (cell.harvest?.salvaged) said.push(say`${cell.harvest.salvaged}.`);
  return said;
}

/** Why it changed nothing, as its own events tell. */
function nothingReasons(cell: Cell): Sentence[] {
  const { harvest } = cell;
  const why = harvest === null || harvest.changed ? null : whyNothing(harvest.said);
  if (why === null) return [];
  const told = [...(harvest?.said?.denied.map((one) => one.why) ?? []), harvest?.said?.ran.at(-1)?.end ?? ""];
  const first = told.find((one) => one !== "");
  return [first === undefined ? say`It changed nothing: ${why}.` : say`It changed nothing: ${why}: ${first}`];
}

function exitReasons(run: Run): Sentence[] {
  const said = [say`Run ${run.n} of ${run.agent}: ${endOfRun(run)}.`];
  if (run.exitClass !== null && run.stopped === null)
    said.push(
      say`That counts as ${EXITS[run.exitClass].words}: ${[run.exitWhy, run.exitSays].filter((one) => one !== null).join(": ")}.`,
    );
  const refused = refusedHosts(run);
  return refused === null ? said : [...said, refused];
}
