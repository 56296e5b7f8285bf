import type { Cell } from "../../cells/cell.ts";
import { type CheckResult, isAtWork } from "../../cells/check.ts";
import type { AgentConfig } from "../../config/config.ts";
import { code, details, fenced, type Markdown, md, raw, table } from "../../gitea/markdown.ts";
import type { CommitStatus } from "../../gitea/port.ts";
import { span } from "./run-words.ts";
import { onOneTerminalLine } from "./sentence.ts";

const MOST_TAIL_BYTES = 4_000;
const MOST_DESCRIPTION_CHARS = 140;

type Shown = Pick<Cell, "baseName" | "checked">;

/** What came of one check, in a few words: `ok`, `failed, exit 1; passes on main`. */
function words(result: CheckResult, { baseName }: Pick<Cell, "baseName">): string {
  const { state, code: exit, why, onBase } = result;
  switch (state) {
    case "waiting":
      return "waits";
    case "running":
      return "running";
    case "passed":
      return "ok";
    case "failed": {
      const base = onBase === null ? "" : `; ${onBase === "passed" ? "passes" : "fails"} on ${baseName}`;
      return `failed, ${why ?? `exit ${exit ?? "unknown"}`}${base}${onBase === "failed" ? " too" : ""}`;
    }
    case "timed-out":
      return why ?? "over its limit";
    case "stopped":
      return why ?? "stopped";
    case "broken":
    case "lost":
      return `could not be run: ${why ?? "lost"}`;
    default:
      return state satisfies never;
  }
}

/** Whether a check says that something is wrong, with what was made or with itself. */
function isBad({ state }: CheckResult): boolean {
  return state !== "passed" && state !== "waiting" && state !== "running";
}

/** `lint ok, test failed, exit 1; passes on main`: all of them in one line; empty where there are none. */
export function checksLine(cell: Shown, results: readonly CheckResult[]): string {
  if (cell.checked?.trouble != null) return `no check could be run: ${cell.checked.trouble}`;
  return results.map((one) => `${one.name} ${words(one, cell)}`).join(", ");
}

/** `test failed`, or `3 checks failed`: for a table; null where none says that something is wrong. */
export function checksResult(cell: Shown, results: readonly CheckResult[]): string | null {
  if (cell.checked?.trouble != null) return "checks could not be run";
  const [bad, ...more] = results.filter(isBad);
  if (bad === undefined) return null;
  if (more.length > 0) return `${more.length + 1} checks failed`;
  return `${bad.name} ${bad.state === "failed" ? "failed" : bad.state === "timed-out" ? "took too long" : "not run"}`;
}

/** The first words of a card while a check is at work; null where none is. */
export function beingChecked(results: readonly CheckResult[]): Markdown | null {
  const at = results.findIndex((one) => one.state === "running");
  const one = results[at] ?? results.find(isAtWork);
  if (one === undefined) return results.length === 0 ? null : md`**being checked** on its base`;
  const place = results.length === 1 || at < 0 ? "" : ` (${at + 1} of ${results.length})`;
  return md`**being checked**: ${one.name}${place}`;
}

/** How the checks of a cell stand, below the headline of its card. */
export function checkLines(cell: Shown, results: readonly CheckResult[]): Markdown[] {
  if (cell.checked === null || (results.length === 0 && cell.checked.trouble === null)) return [];
  const line = checksLine(cell, results);
  return [md`Checks of ${code(cell.checked.tip.slice(0, 10))}: ${line}.`, ...tails(results)];
}

/** What a pull request says of its checks; empty where there are none. */
export function checksSection(
  cell: Shown,
  results: readonly CheckResult[],
  agent: Pick<AgentConfig, "backend"> | undefined,
): Markdown[] {
  const { checked } = cell;
  if (checked === null || (results.length === 0 && checked.trouble === null)) return [];
  if (checked.trouble !== null) return [md`### Checks`, md`No check could be run: ${checked.trouble}.`];
  const sources = [...new Set(results.map((one) => one.source ?? "lazarus.yaml"))].join(" and of ");
  const how = agent === undefined || agent.backend === "process" ? "not isolated" : "isolated";
  const rows = results.map((one) => [
    one.name,
    isBad(one) ? md`**${words(one, cell)}**` : words(one, cell),
    one.tookMs === null ? "" : span(one.tookMs),
  ]);
  return [
    md`### Checks`,
    md`Run by Lazarus on ${code(checked.tip.slice(0, 10))}, ${how}, with the commands of ${sources}. What they run is this branch's own code.`,
    table(["check", "result", "took"], rows),
    ...tails(results),
  ];
}

function tails(results: readonly CheckResult[]): Markdown[] {
  return results
    .filter((one) => isBad(one) && one.tail !== "")
    .map(({ name, tail }) => details(`The end of ${name}`, fenced(tail, MOST_TAIL_BYTES, "end")));
}

/** The same as statuses of the commit, by their contexts. `targetUrl`: of the cell's card. */
export function statusesOf(cell: Shown, results: readonly CheckResult[], targetUrl: string): CommitStatus[] {
  const trouble = cell.checked?.trouble ?? null;
  if (trouble !== null) return [status("checks", { state: "error", said: trouble, targetUrl })];
  return results.map((one) => {
    const took = one.tookMs === null || one.state === "running" ? "" : ` after ${span(one.tookMs)}`;
    const state = isAtWork(one)
      ? "pending"
      : one.state === "passed"
        ? "success"
        : one.state === "failed"
          ? "failure"
          : "error";
    return status(one.name, { state, said: `${words(one, cell)}${took}`, targetUrl });
  });
}

/** What stood as `pending` at a commit whose checks are not gone on with. */
export function statusGivenUp(context: string, targetUrl: string): CommitStatus {
  return { context, state: "error", description: "not run to its end: the work went on", targetUrl };
}

function status(
  name: string,
  how: Pick<CommitStatus, "state" | "targetUrl"> & { readonly said: string },
): CommitStatus {
  const { state, said, targetUrl } = how;
  const line = onOneTerminalLine(said);
  const description =
    line.length <= MOST_DESCRIPTION_CHARS ? line : `${line.slice(0, MOST_DESCRIPTION_CHARS - 1)}…`;
  return { context: `lazarus/${name}`, state, description, targetUrl };
}

/** One line for the post that answers a review; empty where there are no checks. */
export function checksOfAnswer(cell: Shown, results: readonly CheckResult[]): Markdown {
  const line = checksLine(cell, results);
  return line === "" ? md`` : md` ${raw("Checks:")} ${line}.`;
}
