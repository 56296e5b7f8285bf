import { formatDuration } from "../units.ts";
import { check, type FileCheck, type FileConfig } from "./schema.ts";
import { isTree, parseTree, type Tree } from "./source.ts";

/** A command of a repository: what makes a cell ready, or checks what was made there. */
export interface CheckCommand {
  /** For `sh -e`. */
  readonly run: string;
  readonly network: "none" | "full" | readonly string[];
  readonly limitMs: number;
  readonly set: Readonly<Record<string, string>>;
}

/**
 * What lazarus.yaml says of one command: `run` is null where only the repository's own file names it; the
 * rest is the most that it may ask for.
 */
export type Granted = Omit<CheckCommand, "run"> & { readonly run: string | null };

/** What the configuration says of the repositories of one pattern. */
export interface RepositoryChecks {
  /** `owner/name` or `owner/*`, as written: names compare without case. */
  readonly pattern: string;
  /** `branch`: `.lazarus.yml` of the target's base branch counts, too. */
  readonly from: "here" | "branch";
  readonly setup: Granted | null;
  /** By name, in the order of the file. */
  readonly checks: ReadonlyMap<string, Granted>;
  /** For checks that only the repository's own file names. */
  readonly others: Granted;
}

/** The file of a repository that `from: branch` reads, and the most that is read of it. */
export const REPOSITORY_FILE = ".lazarus.yml";
export const REPOSITORY_FILE_BYTES = 16 * 1024;
const MOST_CHECKS = 20;
const CHECK_NAME = /^[a-z0-9-]{1,30}$/;

/** The file's `checks` in our terms, in its order. `limitMs`: of what names no limit of its own. */
export function buildChecks(checks: FileConfig["checks"], limitMs: number): RepositoryChecks[] {
  const others: Granted = { run: null, network: "none", limitMs, set: {} };
  return Object.entries(checks).map(([pattern, { from, setup, ...named }]) => ({
    pattern,
    from,
    setup: setup === undefined && from === "here" ? null : grantedBy(setup ?? { set: {} }, limitMs),
    checks: new Map(Object.entries(named).map(([name, one]) => [name, grantedBy(one, limitMs)])),
    others,
  }));
}

function grantedBy(one: FileCheck, limitMs: number): Granted {
  const { run = null, network = "none", limit = limitMs, set } = one;
  return { run, network, limitMs: limit, set };
}

/** What holds for a repository: the first pattern that matches its name; null where none does. */
export function checksOf(all: readonly RepositoryChecks[], fullName: string): RepositoryChecks | null {
  const name = fullName.toLowerCase();
  const owner = name.split("/")[0];
  const fits = (pattern: string) => pattern === name || pattern === `${owner}/*`;
  return all.find((one) => fits(one.pattern.toLowerCase())) ?? null;
}

/** `test: npm test` is short for `test: {run: npm test}`. */
function withLongCommands(checks: Tree): Tree {
  const long = Object.entries(checks).map(([name, one]) => [
    name,
    typeof one === "string" && name !== "from" ? { run: one } : one,
  ]);
  return Object.fromEntries(long);
}

/** The same for each pattern of the configuration's `checks`. */
export function withLongChecks(tree: Tree): Tree {
  if (!isTree(tree.checks)) return tree;
  const checks = Object.entries(tree.checks).map(([pattern, entry]) => [
    pattern,
    isTree(entry) ? withLongCommands(entry) : entry,
  ]);
  return { ...tree, checks: Object.fromEntries(checks) };
}

/** A command of a repository's file; `nothing` where it names none, `fault` where it cannot be used. */
export type RepositoryCommand =
  | { readonly kind: "command"; readonly command: CheckCommand }
  | { readonly kind: "nothing" }
  | { readonly kind: "fault"; readonly why: string };

/** What a repository's file says, or why none of it can be used. */
export type RepositoryFile =
  | {
      readonly kind: "file";
      readonly setup: RepositoryCommand;
      /** By name, in the order of the file. */
      readonly checks: ReadonlyMap<string, RepositoryCommand>;
    }
  | { readonly kind: "fault"; readonly why: string };

/**
 * Reads `.lazarus.yml`, which whoever may write to the branch has written: the network and the limit of each
 * command are at most what `granted` allows, and are that where it names none. Pure.
 */
export function readRepositoryFile(text: string, granted: RepositoryChecks): RepositoryFile {
  const fault = (why: string) => ({ kind: "fault", why }) as const;
  const { tree, faults } = parseTree(text);
  if (faults[0] !== undefined) return fault(faults[0]);
  const names = Object.keys(tree);
  if (names.length > MOST_CHECKS) return fault(`it has more than ${MOST_CHECKS} names`);
  const odd = names.find((name) => !CHECK_NAME.test(name));
  if (odd !== undefined)
    return fault(`${JSON.stringify(odd.slice(0, 40))} is not a name of lower-case letters, digits and -`);
  const { setup, ...checks } = withLongCommands(tree);
  const most = (name: string) => granted.checks.get(name) ?? granted.others;
  return {
    kind: "file",
    setup: readCommand("setup", setup, granted.setup ?? granted.others),
    checks: new Map(
      Object.entries(checks).map(([name, said]) => [name, readCommand(name, said, most(name))]),
    ),
  };
}

function readCommand(name: string, said: unknown, granted: Granted): RepositoryCommand {
  const fault = (why: string) => ({ kind: "fault", why: `${name}${why}` }) as const;
  if (said === undefined || said === null) return { kind: "nothing" };
  const parsed = check.safeParse(said);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const unknown = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
    const path = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])];
    const where = path.map((one) => `.${String(one)}`).join("");
    return fault(`${where}: ${unknown === undefined ? issue?.message : "is not a key"}`);
  }
  const { run, network = granted.network, limit = granted.limitMs, set } = parsed.data;
  if (run === undefined) return fault(".run: is missing, the command");
  const refused = notGranted(network, granted.network);
  if (refused !== null) return fault(`.network: ${refused} is more than lazarus.yaml grants`);
  if (limit > granted.limitMs) {
    const most = formatDuration(granted.limitMs);
    return fault(`.limit: ${formatDuration(limit)} is more than lazarus.yaml grants, ${most}`);
  }
  const ours = Object.keys(set).find(isOurs);
  if (ours !== undefined) return fault(`.set: ${ours} is Lazarus' own`);
  return { kind: "command", command: { run, network, limitMs: limit, set: { ...granted.set, ...set } } };
}

/** What of a network goes beyond another one; null where nothing does. */
function notGranted(wanted: CheckCommand["network"], granted: CheckCommand["network"]): string | null {
  if (wanted === "none" || granted === "full") return null;
  if (wanted === "full") return "full";
  const hosts = granted === "none" ? [] : granted.map((host) => host.toLowerCase());
  return wanted.find((host) => !hosts.some((one) => covers(one, host.toLowerCase()))) ?? null;
}

/** `*.example.org` covers `a.example.org` and `*.a.example.org`; ports must be the same. */
function covers(granted: string, wanted: string): boolean {
  if (granted === wanted) return true;
  const [[name = "", port], [other = "", otherPort]] = [granted.split(":"), wanted.split(":")];
  return name.startsWith("*.") && port === otherPort && other.endsWith(name.slice(1));
}

/** Whether only Lazarus sets a variable of that name. */
export function isOurs(name: string): boolean {
  return name.startsWith("LAZARUS_") || name === "HOME";
}

const SECRET_NAME = /TOKEN|SECRET|PASSW|KEY|AUTH|CREDENTIAL/i;

/** Values of `set` that are never shown: those whose names say so. */
export function secretsOfChecks(all: readonly RepositoryChecks[]): string[] {
  const commands = all.flatMap(({ setup, checks }) => [
    ...(setup === null ? [] : [setup]),
    ...checks.values(),
  ]);
  return commands.flatMap(({ set }) =>
    Object.entries(set).flatMap(([name, value]) => (SECRET_NAME.test(name) ? [value] : [])),
  );
}

/** Whether a name can be a check's. */
export function isCheckName(name: string): boolean {
  return CHECK_NAME.test(name);
}
