import type { Change } from "./changes.ts";
import type { Git } from "./git.ts";

/** Git's own files of attributes are a few lines; more is not looked through. */
const MOST_BYTES = 64 * 1024;

/**
 * Attributes by which git neither runs a program nor changes what a file says, but for its line ends; the
 * name of a diff driver does nothing without configuration, which is nobody's who pushes.
 */
const HARMLESS = /^(text|eol|crlf|whitespace|diff|binary|linguist-[\w-]+|gitlab-language)$/;

/**
 * What a changed `.gitattributes` does besides line ends and displays, to stand after its path; null where it
 * does nothing else. Both objects are read whole, so neither its name nor its text can hide a line.
 */
export async function attributesChanged(
  git: Git,
  { repository, tip }: { readonly repository: string; readonly tip: string },
  change: Change,
): Promise<string | null> {
  const other = change.kinds.find((kind) => kind !== "file");
  if (other !== undefined) return `is a ${other}`;
  const read = (object: string | null) => (object === null ? "" : readObject(git, repository, object));
  const [before, after] = [await read(change.before), await read(change.after)];
  const root = await rootAttributes(git, repository, tip);
  if (before === null || after === null || root === null) return "is more than can be looked through";
  if (/[\0\uFFFD]/.test(before + after)) return "is no text that could be looked through";
  const macros = new Set([before, after, root].flatMap(macrosOf));
  const [had, has] = [tellingLines(before, macros), tellingLines(after, macros)];
  if (had.map(({ line }) => line).join("\n") === has.map(({ line }) => line).join("\n")) return null;
  const changed = new Set([...lacking(had, has), ...lacking(has, had)].flatMap(({ names }) => names));
  const names = (changed.size > 0 ? [...changed] : has.flatMap((one) => one.names)).slice(0, 5);
  return `changes ${[...new Set(names)].join(", ")}: by such attributes git runs programs, or rewrites files`;
}

/** Null where it is too large, or no file's text at all. */
async function readObject(git: Git, repository: string, object: string): Promise<string | null> {
  const ask = (args: readonly string[]) =>
    git({ dir: repository, args, doing: "looking at what a cell made", tolerant: true });
  const size = await ask(["cat-file", "-s", object]);
  if (size.code !== 0 || Number(size.stdout.trim()) > MOST_BYTES) return null;
  const { code, stdout } = await ask(["cat-file", "blob", object]);
  return code === 0 ? stdout : null;
}

/** Git knows macros of the root's file alone. */
async function rootAttributes(git: Git, repository: string, tip: string): Promise<string | null> {
  const { stdout } = await git({
    dir: repository,
    args: ["ls-tree", tip, "--", ".gitattributes"],
    doing: "looking at what a cell made",
  });
  const object = /^100\d{3} blob ([0-9a-f]+)\t/.exec(stdout)?.[1];
  return object === undefined ? "" : readObject(git, repository, object);
}

interface TellingLine {
  readonly line: string;
  readonly names: readonly string[];
}

/** The lines that set anything but harmless attributes, in their order: the last one wins. */
function tellingLines(text: string, macros: ReadonlySet<string>): TellingLine[] {
  return linesOf(text).flatMap((line) => {
    if (line.startsWith("[attr]")) return [{ line, names: ["[attr]"] }];
    const attributes = partsOf(line).attributes.filter((one) => {
      const name = nameOf(one);
      return !HARMLESS.test(name) || macros.has(name);
    });
    if (attributes.length === 0) return [];
    const told = [partsOf(line).pattern, ...attributes].join(" ");
    return [{ line: told, names: attributes.map((one) => shown(nameOf(one))) }];
  });
}

function macrosOf(text: string): string[] {
  return linesOf(text).flatMap((line) => {
    const name = /^\[attr\][ \t\r]*([^ \t\r]+)/.exec(line)?.[1];
    return name === undefined ? [] : [name];
  });
}

function linesOf(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .map((line) => line.replace(/^[ \t\r]+|[ \t\r]+$/g, ""))
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/**
 * A pattern in quotes is one where git can read it; else it ends at the first blank.
 * @see git's quote.c, `unquote_c_style`
 */
const PATTERN = /^(?:"(?:[^"\\]|\\(?:[abfnrtv\\"]|[0-3][0-7]{2}))*"|[^ \t\r]+)/;

function partsOf(line: string): { readonly pattern: string; readonly attributes: string[] } {
  const pattern = PATTERN.exec(line)?.[0] ?? "";
  const rest = line.slice(pattern.length);
  return { pattern, attributes: rest.split(/[ \t\r]+/).filter((one) => one !== "") };
}

/** `-filter`, `!filter`, `filter=lfs`. */
function nameOf(attribute: string): string {
  return attribute.replace(/^[-!]/, "").replace(/=.*$/s, "");
}

function shown(name: string): string {
  return name.slice(0, 40);
}

function lacking(lines: readonly TellingLine[], others: readonly TellingLine[]): TellingLine[] {
  const known = new Set(others.map(({ line }) => line));
  return lines.filter(({ line }) => !known.has(line));
}
