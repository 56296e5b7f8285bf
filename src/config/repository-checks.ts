import { formatDuration } from "../units.ts";
import { check, type FileConfig } from "./schema.ts";
import { isTree, parseTree, type Tree } from "./source.ts";

/**
 * A command that makes a cell ready before its agent's first turn: it runs as the agent does, with a network
 * and a clock of its own.
 */
export interface SetupCommand {
  /** For `sh -e`. */
  readonly run: string;
  readonly network: "none" | "full" | readonly string[];
  readonly limitMs: number;
  readonly set: Readonly<Record<string, string>>;
}

/** What the configuration says of the repositories of one pattern. */
export interface RepositoryChecks {
  /** `owner/name` or `owner/*`, as written: names compare without case. */
  readonly pattern: string;
  /** `branch`: `.lazarus.yml` of the target's base branch counts, too. */
  readonly from: "here" | "branch";
  /**
   * `run` is null where only the repository's own file names a command; the rest is the most that it may ask
   * for.
   */
  readonly setup: (Omit<SetupCommand, "run"> & { readonly run: string | null }) | null;
}

const DEFAULT_LIMIT_MS = 10 * 60_000;
/** The file of a repository that `from: branch` reads, and the most that is read of it. */
export const REPOSITORY_FILE = ".lazarus.yml";
export const REPOSITORY_FILE_BYTES = 16 * 1024;
const MOST_CHECKS = 20;
const CHECK_NAME = /^[a-z0-9-]{1,30}$/;

/**
 * The file's `checks` in our terms, in its order; what does not hold in this version is added to `notices`.
 */
export function buildChecks(checks: FileConfig["checks"], notices: string[]): RepositoryChecks[] {
  return Object.entries(checks).map(([pattern, { from, setup, ...others }]) => {
    for (const name of Object.keys(others))
      notices.push(`checks.${pattern}.${name}: does not hold, only setup is run in this version`);
    return {
      pattern,
      from,
      setup:
        setup === undefined && from === "here"
          ? null
          : {
              run: setup?.run ?? null,
              network: setup?.network ?? "none",
              limitMs: setup?.limit ?? DEFAULT_LIMIT_MS,
              set: setup?.set ?? {},
            },
    };
  });
}

/** What holds for a repository: the first pattern that matches its name; null where none does. */
export function checksOf(all: readonly RepositoryChecks[], fullName: string): RepositoryChecks | null {
  const name = fullName.toLowerCase();
  const owner = name.split("/")[0];
  const fits = (pattern: string) => pattern === name || pattern === `${owner}/*`;
  return all.find((one) => fits(one.pattern.toLowerCase())) ?? null;
}

/** `setup: npm ci` is short for `setup: {run: npm ci}`. */
export function withLongSetup(checks: Tree): Tree {
  return typeof checks.setup === "string" ? { ...checks, setup: { run: checks.setup } } : checks;
}

/** The same for each pattern of the configuration's `checks`. */
export function withLongSetups(tree: Tree): Tree {
  if (!isTree(tree.checks)) return tree;
  const checks = Object.entries(tree.checks).map(([pattern, entry]) => [
    pattern,
    isTree(entry) ? withLongSetup(entry) : entry,
  ]);
  return { ...tree, checks: Object.fromEntries(checks) };
}

/** What a repository's file says of its setup: a command, nothing, or why it cannot be used. */
export type RepositorySetup =
  | { readonly kind: "command"; readonly setup: SetupCommand }
  | { readonly kind: "nothing" }
  | { readonly kind: "fault"; readonly why: string };

/**
 * Reads the setup out of `.lazarus.yml`, which whoever may write to the branch has written: its network and
 * limit are at most what `granted` allows, and are that where it names none. Other names are checks, which
 * this version does not run. Pure.
 */
export function readRepositorySetup(
  text: string,
  granted: NonNullable<RepositoryChecks["setup"]>,
): RepositorySetup {
  const fault = (why: string) => ({ kind: "fault", why }) as const;
  const { tree, faults } = parseTree(text);
  if (faults[0] !== undefined) return fault(faults[0]);
  const names = Object.keys(tree);
  if (names.length > MOST_CHECKS) return fault(`it has more than ${MOST_CHECKS} names`);
  const odd = names.find((name) => !CHECK_NAME.test(name));
  if (odd !== undefined)
    return fault(`${JSON.stringify(odd.slice(0, 40))} is not a name of lower-case letters, digits and -`);
  if (tree.setup === undefined || tree.setup === null) return { kind: "nothing" };
  const parsed = check.safeParse(withLongSetup(tree).setup);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const unknown = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
    const path = ["setup", ...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])].join(".");
    return fault(`${path}: ${unknown === undefined ? issue?.message : "is not a key"}`);
  }
  const { run, network = granted.network, limit = granted.limitMs, set } = parsed.data;
  if (run === undefined) return fault("setup.run: is missing, the command");
  const refused = notGranted(network, granted.network);
  if (refused !== null) return fault(`setup.network: ${refused} is more than lazarus.yaml grants`);
  if (limit > granted.limitMs) {
    const most = formatDuration(granted.limitMs);
    return fault(`setup.limit: ${formatDuration(limit)} is more than lazarus.yaml grants, ${most}`);
  }
  const ours = Object.keys(set).find(isOurs);
  if (ours !== undefined) return fault(`setup.set: ${ours} is Lazarus' own`);
  return { kind: "command", setup: { run, network, limitMs: limit, set: { ...granted.set, ...set } } };
}

/** What of a network goes beyond another one; null where nothing does. */
function notGranted(wanted: SetupCommand["network"], granted: SetupCommand["network"]): string | null {
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

/** Whether only Lazarus sets a setup's variable of that name. */
export function isOurs(name: string): boolean {
  return name.startsWith("LAZARUS_") || name === "HOME";
}

const SECRET_NAME = /TOKEN|SECRET|PASSW|KEY|AUTH|CREDENTIAL/i;

/** Values of `set` that are never shown: those whose names say so. */
export function secretsOfChecks(checks: readonly RepositoryChecks[]): string[] {
  return checks.flatMap(({ setup }) =>
    Object.entries(setup?.set ?? {}).flatMap(([name, value]) => (SECRET_NAME.test(name) ? [value] : [])),
  );
}
