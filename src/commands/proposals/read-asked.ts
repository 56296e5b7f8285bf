import type { Mistake, Wish } from "../../cells/registry/proposals.ts";
import type { AgentConfig, Config } from "../../config/config.ts";
import { checksOf } from "../../config/repository-checks.ts";
import type { Form, FormField } from "../../gitea/form.ts";
import type { Markdown } from "../../gitea/markdown.ts";
import type { Repository } from "../../gitea/port.ts";
import { isGlob } from "../../globs.ts";
import { nearest } from "../../nearest.ts";
import { clean } from "../../protocol/agent-text.ts";
import { parseTarget } from "../parsing/target.ts";
import { readDuration } from "../summon.ts";
import { mistakeOf, mistakes } from "../words/proposal-words.ts";

/** What a form asks for, as far as it can be told without asking the forge. */
export interface Asked {
  readonly objective: string;
  readonly criteria: string;
  /** In the order of their turns. */
  readonly agents: readonly AgentConfig[];
  /** Null: the default branch. */
  readonly base: string | null;
  readonly wish: Wish;
}

const MOST_TEXT_BYTES = 32 * 1024;
const MOST_CHECKS = 20;
const MOST_PATHS = 50;
const LONGEST_PATH = 200;

interface At {
  readonly repository: Pick<Repository, "fullName">;
  readonly number: number;
  readonly config: Pick<Config, "agents" | "limits" | "forge" | "checks">;
}

type Say = (field: FormField, text: Markdown) => void;

/** Reads every field of a form; every mistake in it is told at once. */
export function readAsked(form: Form, at: At): { readonly asked: Asked; readonly found: readonly Mistake[] } {
  const found: Mistake[] = [];
  const say: Say = (field, text) => found.push(mistakeOf(field, text));
  const textOf = (field: FormField): string | null => {
    const { text, fault } = form[field];
    if (fault === null) return text;
    say(field, mistakes[fault](field));
    return null;
  };
  const asked = {
    objective: readText("Objective", mistakes.noObjective(), { textOf, say }),
    criteria: readText("Acceptance criteria", mistakes.noCriteria(), { textOf, say }),
    agents: readAgents(textOf("Agents"), at, say),
    base: null as string | null,
    wish: { ttlMs: at.config.limits.ttlMs, checks: null as string[] | null, untouched: [] as string[] },
  };
  readTarget(textOf("Target"), at, say);
  const base = lineOf(textOf("Base branch"));
  const ttl = lineOf(textOf("Time to live"));
  const ttlMs = ttl === "" ? asked.wish.ttlMs : readDuration(ttl);
  if (ttlMs === null) say("Time to live", mistakes.badTtl(shown(ttl)));
  const checks = readChecks(textOf("Checks"), at, say);
  const untouched = readPaths(textOf("Not to be touched"), say);
  return {
    asked: {
      ...asked,
      base: base === "" ? null : base,
      wish: { ttlMs: ttlMs ?? asked.wish.ttlMs, checks, untouched },
    },
    found,
  };
}

function readText(
  field: "Objective" | "Acceptance criteria",
  empty: Markdown,
  { textOf, say }: { textOf(field: FormField): string | null; readonly say: Say },
): string {
  const text = textOf(field);
  if (text === null) return "";
  if (Buffer.byteLength(text) > MOST_TEXT_BYTES) say(field, mistakes.tooLong());
  else if (clean(text) === "") say(field, empty);
  return text;
}

/** One line of visible characters: what stands on more is no name of anything. */
function lineOf(text: string | null): string {
  return text === null ? "" : clean(text.slice(0, 4_000)).replace(/\s+/g, " ");
}

/** As much of what was typed as is shown in a mistake. */
function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)} …` : text;
}

function readAgents(text: string | null, { config }: At, say: Say): AgentConfig[] {
  const all = [...config.agents.keys()];
  const typed = lineOf(text).toLowerCase();
  if (text === null) return [];
  if (typed === "" && all.length !== 1) say("Agents", mistakes.noAgent(all));
  const names = typed === "" ? all.slice(0, 1) : typed.split("+").map((name) => name.trim());
  const most = config.limits.team;
  const unknown = names.filter((name) => name !== "" && !config.agents.has(name));
  const twice = names.find((name, index) => name !== "" && names.indexOf(name) !== index);
  if (names.includes("") && typed !== "") say("Agents", mistakes.emptyAgent(shown(typed)));
  for (const name of unknown.slice(0, 3))
    say("Agents", mistakes.unknownAgent(shown(name), all, nearest(name, all)));
  if (twice !== undefined && config.agents.has(twice)) say("Agents", mistakes.agentTwice(twice));
  if (names.length > most) say("Agents", mistakes.tooManyAgents(names.length, most));
  const agents = names.flatMap((name) => config.agents.get(name) ?? []);
  for (const { name, unavailable } of agents)
    if (unavailable !== null) say("Agents", mistakes.agentUnavailable(name, unavailable));
  return agents;
}

/** A proposal is about its own issue: whoever can read the one can read what becomes of it. */
function readTarget(text: string | null, { repository, number, config }: At, say: Say): void {
  const typed = lineOf(text);
  if (typed === "") return;
  const target = parseTarget(typed, config.forge.url);
  if (target === null) {
    say("Target", mistakes.noTarget(shown(typed)));
    return;
  }
  const isHere =
    target.owner === null ||
    `${target.owner}/${target.name}`.toLowerCase() === repository.fullName.toLowerCase();
  if (!isHere) say("Target", mistakes.otherRepository(shown(typed)));
  else if (target.number !== null && target.number !== number)
    say("Target", mistakes.otherThread(shown(typed)));
}

/** Where the repository's own file may name more, only the form of a name can be told here. */
function readChecks(text: string | null, { repository, config }: At, say: Say): string[] | null {
  const typed = lineOf(text);
  if (typed === "") return null;
  const names = [...new Set(typed.split(/[\s,]+/).filter((name) => name !== ""))];
  if (names.length > MOST_CHECKS) say("Checks", mistakes.tooManyChecks(MOST_CHECKS));
  const here = checksOf(config.checks, repository.fullName);
  const known = [...(here?.checks.keys() ?? [])];
  const mayBe = (name: string) =>
    known.includes(name) || (here?.from === "branch" && name !== "setup" && /^[a-z0-9-]{1,30}$/.test(name));
  const unknown = names.slice(0, MOST_CHECKS).filter((name) => !mayBe(name));
  for (const name of unknown.slice(0, 3))
    say("Checks", mistakes.unknownCheck(shown(name), known, nearest(name, known)));
  return names.slice(0, MOST_CHECKS);
}

function readPaths(text: string | null, say: Say): string[] {
  const lines = clean((text ?? "").slice(0, MOST_PATHS * LONGEST_PATH * 2))
    .split("\n")
    .map((line) => line.trim());
  const paths = [...new Set(lines.filter((line) => line !== ""))];
  if (paths.length > MOST_PATHS) say("Not to be touched", mistakes.tooManyPaths(MOST_PATHS));
  const all = paths.filter((path) => /^[*?/]+$/.test(path));
  const bad = paths.filter((path) => !all.includes(path) && !isPath(path));
  for (const path of all.slice(0, 3)) say("Not to be touched", mistakes.allPaths(path));
  for (const path of bad.slice(0, 3)) say("Not to be touched", mistakes.badPath(shown(path)));
  return paths.slice(0, MOST_PATHS);
}

function isPath(path: string): boolean {
  return path.length <= LONGEST_PATH && !path.startsWith("/") && isGlob(path);
}
