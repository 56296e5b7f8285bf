import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import { systemCode } from "../errors.ts";

/** What a file or a part of it is before anything was checked. */
export type Tree = Record<string, unknown>;

/** What the command in hand is about; `data`, `missions` and `pit` are there for all of them. */
export type Need = "forge" | "server" | "agents" | "pit" | "queue" | "runner";
export type Environment = Readonly<Record<string, string | undefined>>;

const LONGEST_FILE = 1024 * 1024;
const MOST_ALIASES = 50;

/** The file as found, or null where there is none; `faults` says why it could not be read. */
export interface ConfigSource {
  readonly file: string | null;
  readonly tree: Tree;
  readonly faults: readonly string[];
}

export interface Lookup {
  readonly file?: string;
  readonly env: Environment;
  readonly cwd: string;
}

/**
 * Looks in the order of configuration.md: a file that was named must be there, the usual places may be empty.
 */
export function readSource({ file, env, cwd }: Lookup): ConfigSource {
  const named = file ?? (env.LAZARUS_CONFIG || undefined);
  const places = named === undefined ? ["lazarus.yaml", "/etc/lazarus/lazarus.yaml"] : [named];
  for (const place of places.map((each) => resolve(cwd, each))) {
    try {
      return { file: place, ...parseTree(readLimited(place)) };
    } catch (error) {
      if (named === undefined && systemCode(error) === "ENOENT") continue;
      return { file: place, tree: {}, faults: [`${place} cannot be read: ${why(error)}`] };
    }
  }
  return { file: null, tree: {}, faults: [] };
}

/** A small regular file's text. Throws Node's system errors, and an Error where it is neither. */
export function readLimited(path: string): string {
  const stat = statSync(path);
  if (!stat.isFile()) throw new Error("not a file");
  if (stat.size > LONGEST_FILE) throw new Error("larger than 1 MiB");
  return readFileSync(path, "utf8");
}

/** Why a file could not be read, in a word or two. */
export function why(error: unknown): string {
  const words: Record<string, string> = {
    ENOENT: "no such file",
    EACCES: "permission denied",
    EISDIR: "a directory",
  };
  const code = systemCode(error);
  if (code !== undefined) return words[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}

/**
 * YAML, of which JSON is a part, as a mapping of keys. Only the first line of a parser's message is kept: the
 * others quote the file, secrets and all.
 */
export function parseTree(text: string): Omit<ConfigSource, "file"> {
  const document = parseDocument(text);
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) return { tree: {}, faults: problems.map((each) => firstLine(each.message)) };
  try {
    const tree: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    if (tree === null) return { tree: {}, faults: [] };
    if (isTree(tree)) return { tree, faults: [] };
    return { tree: {}, faults: ["it is not a mapping of keys, such as `forge:`"] };
  } catch (error) {
    return { tree: {}, faults: [firstLine(why(error))] };
  }
}

/** The text with other values at some places, and its comments where they were. */
export function editYaml(
  text: string,
  changes: readonly (readonly [path: readonly string[], value: unknown])[],
): string {
  const document = parseDocument(text);
  for (const [path, value] of changes) document.setIn(path, document.createNode(value));
  return document.toString({ lineWidth: 0 });
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/:$/, "");
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What lies at `forge.token`; undefined where the way ends early. */
export function at(tree: Tree, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (value, key) => (isTree(value) && Object.hasOwn(value, key) ? value[key] : undefined),
      tree,
    );
}

/** The tree with `value` at `path` (undefined: without it); sections on the way are made where nothing is. */
export function put(tree: Tree, path: string, value: unknown): Tree {
  const [key = "", ...rest] = path.split(".");
  if (rest.length === 0) {
    const { [key]: _, ...others } = tree;
    return value === undefined ? others : { ...others, [key]: value };
  }
  const below = tree[key] ?? {};
  return isTree(below) ? { ...tree, [key]: put(below, rest.join("."), value) } : tree;
}

export interface Substitution {
  readonly env: Environment;
  needed(path: string): boolean;
  fault(path: string, what: string): void;
}

/**
 * Replaces `${NAME}` in every text and drops what is null. Keys the command does not need lose their value
 * where it holds a reference, so that the pit needs no secrets; a reference that cannot be followed is a
 * fault and loses its value, too.
 */
export function substitute(value: unknown, path: string, rules: Substitution): unknown {
  if (typeof value === "string") return substituteText(value, path, rules);
  if (Array.isArray(value)) {
    const items = value.map((each) => substitute(each, path, rules));
    return items.some((each, index) => each === undefined && value[index] !== null) ? undefined : items;
  }
  if (!isTree(value)) return value ?? undefined;
  const entries = Object.entries(value).map(
    ([key, each]) => [key, substitute(each, path ? `${path}.${key}` : key, rules)] as const,
  );
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined));
}

function substituteText(
  text: string,
  path: string,
  { env, needed, fault }: Substitution,
): string | undefined {
  if (!text.includes("${")) return text;
  if (!needed(path)) return undefined;
  let whole = true;
  const replaced = text.replace(/\$\{([^}]*)\}?/g, (reference, name: string) => {
    const value = /^[A-Za-z_]\w*$/.test(name) && reference.endsWith("}") ? env[name] : null;
    if (value === null)
      fault(path, `${JSON.stringify(reference)} is not a reference to a variable: write \${NAME}`);
    if (value === undefined) fault(path, `\${${name}} is not set in the environment`);
    whole &&= typeof value === "string";
    return value ?? "";
  });
  return whole ? replaced : undefined;
}
