import type { Harvest } from "../../protocol/shapes.ts";
import type { KnownSecret } from "../known-secrets.ts";
import { type Brought, emptyTree } from "./brought.ts";
import { changesBetween } from "./changes.ts";
import type { Git } from "./git.ts";
import { MOST_LISTED_BYTES } from "./measure.ts";
import { protectedChanges } from "./protected.ts";
import { scanLog } from "./secret-scan.ts";

/** A range of commits in a repository of ours, about to be pushed. */
export interface Range {
  readonly repository: string;
  readonly base: string;
  readonly tip: string;
  /** What a fork brought comes with it. */
  readonly brought?: Brought | null;
}

export type Findings = Pick<Harvest, "protectedPaths" | "forbidden" | "shownSecrets" | "closing">;

export interface InspectDeps {
  readonly git: Git;
  /** What must never leave. */
  readonly secrets: readonly KnownSecret[];
  /** Patterns of more paths that wait for a director's word. */
  readonly protected: readonly string[];
  /** The same of what a proposal says is not to be touched. */
  readonly untouched: readonly string[];
}

/** More than this, packed or as text, is not looked through for secrets: it is held back instead. */
const MOST_BYTES = 64 * 1024 ** 2;
const MOST_NAMED = 10;
const UNQUOTED = { "core.quotePath": "false" };

/**
 * Looks at what is about to be pushed, in a repository of ours, for what needs a director's word (paths that
 * decide what runs next), for what must never leave (secrets), and for commit messages that would close
 * issues.
 */
export async function inspect(deps: InspectDeps, range: Range): Promise<Findings> {
  const [paths, shown, closing] = [
    await peoplesWord(deps, range),
    await secrets(deps, range),
    await closingMessages(deps.git, range),
  ];
  return { protectedPaths: paths, ...shown, closing };
}

/**
 * What needs a director's word: all that a fork brought, and what decides what runs next, whoever changed it.
 */
async function peoplesWord(deps: InspectDeps, { brought, ...range }: Range): Promise<string[]> {
  const since = brought == null ? range.base : (brought.since ?? emptyTree(range.tip));
  const changes = await changesBetween(deps.git, { ...range, base: since });
  const at = { ...range, patterns: deps.protected, untouched: deps.untouched };
  const found = cut(await protectedChanges(deps.git, at, changes), "protected paths");
  return brought == null ? found : [brought.words, ...found];
}

/**
 * Whatever of the new objects would show a secret that Lazarus knows, in any of the forms the redactor knows.
 */
async function secrets(
  deps: InspectDeps,
  range: Range,
): Promise<Pick<Findings, "forbidden" | "shownSecrets">> {
  const span = `${range.base}..${range.tip}`;
  const size = await ask(deps.git, range, ["rev-list", "--disk-usage", "--objects", span, "--"]);
  const tooMuch = ["there is more than can be looked through for secrets"];
  if (Number(size.stdout.trim()) > MOST_BYTES) return { forbidden: tooMuch, shownSecrets: [] };
  // Nothing an agent wrote can contain what was thought of after it had ended.
  const mark = crypto.randomUUID();
  const format = `--format=${mark}%H%n%an <%ae>%n%cn <%ce>%n%B`;
  const args = [
    "log",
    "-p",
    "-m",
    "--text",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--unified=0",
    format,
    span,
    "--",
  ];
  const child = (words: readonly string[]) =>
    deps.git.child({ dir: range.repository, args: words, config: UNQUOTED });
  // No log shows all that a commit holds: other headers, signatures, what comes after a NUL.
  const whole = [child(["rev-list", span, "--"]), child(["cat-file", `--batch=${mark}%(objectname)`])];
  // A gigabyte of zeros is packed into one megabyte.
  const gits = [[child(args)], whole];
  const { isWhole, found } = await scanLog({ gits, mark, secrets: deps.secrets, mostBytes: MOST_BYTES });
  const sentences = found
    .filter(({ names }) => names.includes(null))
    .map(({ commit }) => `commit ${commit} shows a secret that Lazarus keeps`);
  if (!isWhole) sentences.push(...tooMuch);
  const commitsOf = new Map<string, string[]>();
  for (const { commit, names } of found)
    for (const name of names)
      if (name !== null) commitsOf.set(name, [...(commitsOf.get(name) ?? []), commit]);
  const shown = [...commitsOf].map(([name, commits]) => ({ name, mark: null, commits }));
  return { forbidden: cut(sentences, "commits with secrets"), shownSecrets: shown };
}

const CLOSING =
  /\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|reopen(?:s|ed)?):?\s+(?:[\w.-]+\/[\w.-]+)?[#!]\d+|\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|reopen(?:s|ed)?):?\s+https?:\/\/\S+/gi;

/**
 * What would close or reopen issues: on the default branch, or at once where the repository closes from any
 * branch.
 */
async function closingMessages(git: Git, range: Range): Promise<string[]> {
  const { stdout } = await ask(git, range, [
    "log",
    "-z",
    "--format=%H%x01%B",
    // What a fork brought closes issues as well, when it is merged.
    ...(range.brought == null
      ? [`^${range.base}`]
      : range.brought.since === null
        ? []
        : [`^${range.brought.since}`]),
    range.tip,
    "--",
  ]);
  const found = stdout.split("\0").flatMap((entry) => {
    const [hash = "", message = ""] = entry.split("\x01");
    const words = [...message.matchAll(CLOSING)].map(([one]) => one.replace(/\s+/g, " ").slice(0, 100));
    return words.length === 0
      ? []
      : [`${hash.trim().slice(0, 10)}: ${words.slice(0, MOST_NAMED).join(", ")}`];
  });
  return cut(found, "commit messages");
}

function ask(
  git: Git,
  range: Range,
  args: readonly string[],
  how: { readonly mostBytes?: number; readonly tolerant?: boolean } = {},
) {
  return git({
    mostBytes: MOST_LISTED_BYTES,
    ...how,
    dir: range.repository,
    args,
    doing: "looking at what a cell made",
    config: UNQUOTED,
  });
}

function cut(found: readonly string[], what: string): string[] {
  return found.length <= MOST_NAMED
    ? [...found]
    : [...found.slice(0, MOST_NAMED), `and ${found.length - MOST_NAMED} more ${what}`];
}
