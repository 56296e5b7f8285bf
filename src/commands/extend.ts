import { budgetOfCell, budgetOfRun } from "../cells/budget.ts";
import type { Cell } from "../cells/cell.ts";
import type { More } from "../cells/going-on.ts";
import { parseDuration } from "../units.ts";
import { reachable } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Command, type Deps, type Origin, refuse, type Verb } from "./command.ts";
import { budgetWords } from "./words/budget-words.ts";
import { replies } from "./words/replies.ts";

const LONGEST_MS = 90 * 24 * 60 * 60_000;
const SHORTEST_MS = 60_000;
const MOST_USD = 1_000_000;

type ExtendDeps = Pick<Deps, "registry" | "rights" | "goingOn" | "clock" | "config">;

export const extend: Verb = {
  name: "extend",
  summary: "gives a cell more: moves the end of its TTL, or raises its budget",
  usage: "extend [CELL] [4h] [--cost N] [--tokens N]",
  examples: ["extend 4h", "extend 4f1c0b7e 2d", "extend 4f1c0b7e --cost 5"],
  who: "director",
  flags: {
    "--cost": { takes: "value", help: "so many USD more, for the cell and for its run at work" },
    "--tokens": { takes: "value", help: "the same in tokens" },
  },
  async run(command, origin, deps: ExtendDeps) {
    const typed = splitExtend(command, origin, deps);
    if (typed === null) return refuse("usage", replies.usage(extend.usage));
    const { cellWord, time } = typed;
    const byMs = time === null ? 0 : parseDuration(time);
    if (time !== null && (byMs === null || byMs < SHORTEST_MS))
      return refuse("usage", replies.badExtension(time));
    const [costUsd, tokens] = [amountOf(command, "--cost"), amountOf(command, "--tokens")];
    if (costUsd === null) return refuse("usage", replies.badAmount("--cost", command.flags["--cost"]));
    if (tokens === null) return refuse("usage", replies.badAmount("--tokens", command.flags["--tokens"]));
    const words = [...(time === null ? [] : [time]), ...flagWords(command)].join(" ");
    const need = { verb: "extend", words, role: "director", fits: hasEnd } as const;
    const found = await findCell(cellWord, need, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!hasEnd(cell)) return refuse("refused", replies.cannotExtend(cell));
    const expiresAt = cell.expiresAt + (byMs ?? 0);
    if (time !== null && expiresAt - deps.clock.now() > LONGEST_MS)
      return refuse("usage", replies.extendsTooFar(cell));
    const more: More = { expiresAt, costUsd, tokens };
    return whyNot(cell, more, deps) ?? done(cell, more, { origin, deps, isLonger: time !== null });
  },
};

/** With something to use a single word may be the cell: where it is one that is reachable here. */
function splitExtend(
  { words, flags }: Command,
  origin: Origin,
  deps: ExtendDeps,
): { readonly cellWord: string | null; readonly time: string | null } | null {
  const [first = null, second, ...more] = words;
  const isMore = flags["--cost"] !== undefined || flags["--tokens"] !== undefined;
  if (more.length > 0 || (first === null && !isMore)) return null;
  if (second !== undefined) return { cellWord: first, time: second };
  if (first === null) return { cellWord: null, time: null };
  const isCell = isMore && (parseDuration(first) === null || reachable(first, origin, deps).length > 0);
  return isCell ? { cellWord: first, time: null } : { cellWord: null, time: first };
}

function flagWords({ flags }: Command): string[] {
  return ["--cost", "--tokens"].flatMap((name) =>
    flags[name] === undefined ? [] : [name, `${flags[name]}`],
  );
}

/** 0 where it was not typed; null where it is no amount. */
function amountOf({ flags }: Command, name: "--cost" | "--tokens"): number | null {
  const typed = flags[name];
  if (typed === undefined) return 0;
  const form = name === "--cost" ? /^\d{1,7}(?:\.\d{1,2})?$/ : /^\d{1,12}$/;
  if (typeof typed !== "string" || !form.test(typed) || Number(typed) === 0) return null;
  return name === "--cost" && Number(typed) > MOST_USD ? null : Number(typed);
}

/** What is to be raised must be there: of the cell, or of its run at work. */
function whyNot(cell: Cell, { costUsd, tokens }: More, deps: ExtendDeps): Answer | null {
  const run = deps.registry.lastRun(cell.id);
  const ofCell = budgetOfCell(cell, [], deps.config);
  const isAtWork = run !== null && run.state !== "ended" && run.state !== "withdrawn";
  const ofRun = isAtWork ? budgetOfRun(run, deps.config) : { cost: null, tokens: null };
  if (costUsd > 0 && ofCell.cost === null && ofRun.cost === null)
    return refuse("refused", replies.noBudget(cell, "USD", "limits.cost"));
  if (tokens > 0 && ofCell.tokens === null && ofRun.tokens === null)
    return refuse("refused", replies.noBudget(cell, "tokens", "limits.tokens"));
  return null;
}

function done(
  cell: Cell,
  more: More,
  {
    origin,
    deps,
    isLonger,
  }: { readonly origin: Origin; readonly deps: ExtendDeps; readonly isLonger: boolean },
): Answer {
  const usage = () => {
    const now = deps.registry.mustCell(cell.id);
    return budgetWords(now, deps.registry.lastKeptRun(cell.id), deps);
  };
  const isRaised = more.costUsd > 0 || more.tokens > 0;
  return {
    kind: "done",
    line: () =>
      replies.extended({ ...cell, expiresAt: more.expiresAt }, { isLonger, has: isRaised ? usage() : [] }),
    data: {
      id: cell.id,
      expires_at: new Date(more.expiresAt).toISOString(),
      ...(isRaised ? { more_usd: more.costUsd, more_tokens: more.tokens } : {}),
    },
    effects: () => deps.goingOn.extend(cell, more, origin.person.login),
  };
}

function hasEnd(cell: Cell): boolean {
  return cell.state === "proposed" || cell.state === "active" || cell.state === "idle";
}
