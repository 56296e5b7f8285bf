import { CELL_TOKENS, formsOf } from "./secret-forms.ts";
import { foldCase, READINGS, type Reading, type View, viewOf, viewsOf } from "./text-views.ts";

/** Shorter secrets are not looked for: they stand in too many words. */
export const LEAST_HIDDEN = 8;

/** Where in a text, as it is read, a secret stands. */
export type Span = readonly [start: number, end: number];

/** Looks for secrets in views of a text, in every form it knows. */
export interface SecretFinder {
  /** One more secret; `name`: what its finding is called. */
  add(secret: string, name?: string | null): void;
  /** Every place of every secret in text of one reading. */
  spans(reading: Reading, text: string): Span[];
  /** Names of the secrets in text of one reading; null stands for those without a name. */
  names(reading: Reading, text: string): Set<string | null>;
}

export function createFinder(): SecretFinder {
  const needles = new Map<Reading, Map<string, Set<string | null>>>(
    READINGS.map((reading) => [reading, new Map()]),
  );
  const put = (reading: Reading, needle: string, name: string | null) => {
    if (needle.length < LEAST_HIDDEN) return;
    const known = needles.get(reading);
    known?.set(needle, (known.get(needle) ?? new Set()).add(name));
  };
  return {
    add(secret, name = null) {
      for (const text of new Set([secret, secret.trim()])) {
        if (text.trim().length < LEAST_HIDDEN) continue;
        for (const form of formsOf(text))
          for (const reading of ["plain", "quoted", "decoded", "bare"] as const)
            put(reading, viewOf(form, reading).text, name);
        put("hex", foldCase(Buffer.from(text, "utf8").toString("hex")), name);
      }
    },
    spans(reading, text) {
      const found: Span[] = [];
      for (const needle of needles.get(reading)?.keys() ?? []) findAll(text, needle, found);
      for (const match of text.matchAll(CELL_TOKENS))
        found.push([match.index, match.index + match[0].length]);
      return found;
    },
    names(reading, text) {
      const found = new Set<string | null>();
      for (const [needle, names] of needles.get(reading) ?? [])
        if ([...names].some((name) => !found.has(name)) && text.includes(needle))
          for (const name of names) found.add(name);
      if (text.search(CELL_TOKENS) >= 0) found.add(null);
      return found;
    },
  };
}

/** The views of a text that say something new, each with its reading. */
export function differentViews(text: string): [Reading, View][] {
  const views = viewsOf(text);
  return READINGS.flatMap((reading, at) =>
    READINGS.slice(0, at).some((earlier) => views[earlier] === views[reading])
      ? []
      : [[reading, views[reading]]],
  );
}

function findAll(text: string, needle: string, found: Span[]): void {
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1))
    found.push([at, at + needle.length]);
}
