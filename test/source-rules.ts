import { posix } from "node:path";

/** Path from the repository's root -> text. */
export type Sources = ReadonlyMap<string, string>;

export interface Import {
  readonly file: string;
  /** As written: `../errors.ts`, `node:fs`, `zod`. */
  readonly specifier: string;
  /** The file it means, from the repository's root; null where it is a package or a built-in. */
  readonly target: string | null;
}

const FORMS = [
  // `import x from "y"`, `export … from "y"`, `import "y"`, over several lines, always at the start of one.
  /^(?:import|export)\b[^;"'`]*?\bfrom\s+["']([^"']+)["']/gm,
  /^import\s+["']([^"']+)["']/gm,
  /\bimport\(\s*["']([^"']+)["']\s*\)/g,
];

/** Every import and re-export of a file, type-only ones too. */
export function importsOf(file: string, text: string): Import[] {
  return FORMS.flatMap((form) => [...withoutComments(text).matchAll(form)]).map(([, specifier = ""]) => ({
    file,
    specifier,
    target: specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : null,
  }));
}

/** A group of files and what they may import besides each other. */
export interface Zone {
  /** Files; what does not end in `.ts` is how their paths begin. */
  readonly files: readonly string[];
  /** Names of zones; or single files of them. */
  readonly may: readonly string[];
}

export type Zones = Readonly<Record<string, Zone>>;

/** Imports that the zones do not allow, and files that are in no zone. */
export function forbiddenImports(sources: Sources, zones: Zones): string[] {
  const found: string[] = [];
  for (const [file, text] of sources) {
    const own = zoneOf(file, zones);
    if (own === null) {
      found.push(`${file} is in no zone`);
      continue;
    }
    for (const { target } of importsOf(file, text)) {
      if (target === null) continue;
      const zone = zoneOf(target, zones);
      const may = zones[own]?.may ?? [];
      if (zone === own || (zone !== null && may.includes(zone)) || may.includes(target)) continue;
      found.push(`${file} (${own}) must not import ${target} (${zone ?? "in no zone"})`);
    }
  }
  return found;
}

function zoneOf(file: string, zones: Zones): string | null {
  const holds = (entry: string) => (entry.endsWith(".ts") ? file === entry : file.startsWith(entry));
  return Object.keys(zones).find((name) => zones[name]?.files.some(holds)) ?? null;
}

/** Each cycle of imports once, as `a -> b -> a`. */
export function cycles(sources: Sources): string[] {
  const targets = new Map(
    [...sources].map(([file, text]) => [
      file,
      importsOf(file, text).flatMap(({ target }) => (target !== null && sources.has(target) ? [target] : [])),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push([...path.slice(at), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return found;
}

/** Packages that more files import than may: `allowed` names all files of a package that needs several. */
export function scatteredPackages(
  sources: Sources,
  allowed: Readonly<Record<string, readonly string[] | "anywhere">>,
): string[] {
  const users = new Map<string, Set<string>>();
  for (const [file, text] of sources) {
    for (const { specifier, target } of importsOf(file, text)) {
      if (target !== null || specifier.startsWith("node:")) continue;
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
      users.set(name, (users.get(name) ?? new Set()).add(file));
    }
  }
  return [...users].flatMap(([name, files]) => {
    const rule = allowed[name];
    if (rule === "anywhere") return [];
    const strangers = rule === undefined ? [] : [...files].filter((file) => !rule.includes(file));
    if (strangers.length > 0) return [`${name} is imported in ${strangers.join(", ")}`];
    return rule === undefined && files.size > 1
      ? [`${name} is imported in ${[...files].sort().join(", ")}`]
      : [];
  });
}

/** Where a pattern stands in code (not in comments and plain strings), outside of the files where it may. */
export function uses(sources: Sources, pattern: RegExp, except: readonly string[] = []): string[] {
  return [...sources].flatMap(([file, text]) =>
    except.includes(file)
      ? []
      : withoutComments(text)
          .split("\n")
          .flatMap((line, index) => (pattern.test(withoutStrings(line)) ? [`${file}:${index + 1}`] : [])),
  );
}

/** The same number of lines: places stay right. A string that holds what looks like a comment stays whole. */
function withoutComments(text: string): string {
  return text.replace(
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/gm,
    (match) => (match.startsWith("/") ? match.replace(/[^\n]/g, "") : match),
  );
}

function withoutStrings(line: string): string {
  return line.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, '""');
}

/** Files with more lines than they may have; a file of `allowed` may have as many as it says. */
export function longFiles(
  sources: Sources,
  most: number,
  allowed: Readonly<Record<string, number>> = {},
): string[] {
  return [...sources].flatMap(([file, text]) => {
    const lines = text.replace(/\n$/, "").split("\n").length;
    return lines > (allowed[file] ?? most) ? [`${file} has ${lines} lines`] : [];
  });
}
