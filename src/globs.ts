/**
 * How a path stands to patterns: it is meant by one of them, or lies in a directory that is; or what is meant
 * may lie below it, by the names in a pattern; or neither. `**` at a pattern's begin names no directory.
 */
export type Standing = "covered" | "above" | null;

/** What is right, to stand after "is not". */
export const GLOB_FORM =
  'a pattern of paths such as "deploy/**" or "*.tf", with * ? and ** alone (write ? for [ ] { } ! and \\)';

export function isGlob(pattern: string): boolean {
  return partsOf(pattern) !== null;
}

/**
 * Reads patterns as lines of `.gitignore` are read: `*` and `?` stay within a name, `**` is any number of
 * directories, a pattern without a slash before its end is meant at any depth, and a directory covers all
 * below it. Names compare as the least exact disk compares them. What is no pattern is left out.
 */
export function readGlobs(patterns: readonly string[]): (path: string) => Standing {
  const globs = patterns.flatMap((pattern) => {
    const parts = partsOf(pattern);
    return parts === null ? [] : [parts];
  });
  return (path) => {
    const names = namesOf(path).map(onAnyDisk);
    let standing: Standing = null;
    for (const parts of globs) {
      const one = standingOf(parts, names);
      if (one === "covered") return one;
      standing ??= one;
    }
    return standing;
  };
}

interface Part {
  readonly text: string;
  readonly isPlain: boolean;
}

function partsOf(pattern: string): readonly Part[] | null {
  if (!/^[^[\]{}!\\\0]+$/.test(pattern)) return null;
  const names = namesOf(pattern);
  if (names.length === 0 || names.some((name) => name === "." || name === "..")) return null;
  const isAnywhere = !pattern.replace(/\/+$/, "").includes("/");
  const parts = isAnywhere ? ["**", ...names] : names;
  // All below a directory is what the directory covers by itself.
  while (parts.at(-1) === "**") parts.pop();
  return parts.map((text) => ({ text, isPlain: !/[*?]/.test(text) }));
}

/**
 * A name as the least exact disk takes it: some leave out what nobody sees, and dots and blanks at the end,
 * or take letters for others that look alike.
 */
function onAnyDisk(name: string): string {
  if (/^[\x21-\x7e]*[^. ]$/.test(name)) return name;
  const seen = name.normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
  return seen.toLowerCase().replace(/[. ]+$/, "");
}

function namesOf(path: string): string[] {
  return path
    .toLowerCase()
    .split("/")
    .filter((name) => name !== "");
}

/** Every name is compared with every part at most once. */
function standingOf(parts: readonly Part[], names: readonly string[]): Standing {
  if (parts.length === 0) return "covered";
  const first = parts.findIndex(({ text }) => text !== "**");
  // Places in the pattern that may come next.
  let places = withoutStars(parts, [0]);
  let isBegun = false;
  for (const name of names) {
    const next: number[] = [];
    for (const at of places) {
      const part = parts[at];
      if (part?.text === "**") next.push(at);
      else if (part !== undefined && isNamed(part, name)) next.push(at + 1);
    }
    if (next.length === 0) return null;
    isBegun = next.some((at) => at > first);
    places = withoutStars(parts, next);
    if (places.has(parts.length)) return "covered";
  }
  return isBegun ? "above" : null;
}

/** `**` may stand for no directory at all. */
function withoutStars(parts: readonly Part[], places: readonly number[]): Set<number> {
  const all = new Set(places);
  for (const at of all) if (parts[at]?.text === "**") all.add(at + 1);
  return all;
}

/** Compares one name, in steps that grow with the product of both lengths at most. */
function isNamed({ text, isPlain }: Part, name: string): boolean {
  if (isPlain) return text === name;
  let [at, from] = [0, 0];
  let star: { readonly at: number; from: number } | null = null;
  while (from < name.length) {
    if (text[at] === "*") {
      star = { at: at++, from };
    } else if (text[at] === "?" || text[at] === name[from]) {
      from += text[at] === "?" ? String.fromCodePoint(name.codePointAt(from) ?? 0).length : 1;
      at++;
    } else if (star !== null) {
      at = star.at + 1;
      from = ++star.from;
    } else {
      return false;
    }
  }
  return /^\**$/.test(text.slice(at));
}
