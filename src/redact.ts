import { count } from "./meter.ts";
import { createFinder, differentViews, LEAST_HIDDEN, type Span } from "./secret-finder.ts";
import { originsOf } from "./text-views.ts";

/** Hides the secrets it knows from text that leaves the program: posts, logs, pages. */
export interface Redactor {
  /** The text with every form of every secret as `[redacted]`. */
  redact(text: string): string;
  /** One more secret; shorter than 8 characters are not hidden. */
  add(secret: string): void;
}

const HIDDEN = "[redacted]";

/**
 * Knows each secret plain, in either case, in base64 (also URL-safe, and inside longer base64 at any of the
 * three alignments), in hex (also in groups), with escapes of JSON, URLs, HTML and programs for all or some
 * of its characters; and all of these broken over lines, also of diffs and quotes, and with what nobody sees
 * in between.
 */
export function createRedactor(secrets: Iterable<string>): Redactor {
  const finder = createFinder();
  for (const secret of secrets) finder.add(secret);
  return {
    add: (secret) => finder.add(secret),
    redact(text) {
      if (text.length < LEAST_HIDDEN) return text;
      const spans: Span[] = [];
      for (const [reading, view] of differentViews(text))
        for (const [start, end] of finder.spans(reading, view.text)) spans.push(originsOf(view, start, end));
      return spans.length === 0 ? text : hide(text, spans);
    },
  };
}

function hide(text: string, spans: Span[]): string {
  count("redactions_total", {}, spans.length);
  spans.sort((a, b) => a[0] - b[0]);
  const parts: string[] = [];
  let shown = 0;
  for (const [from, to] of spans) {
    if (from >= shown) parts.push(text.slice(shown, from), HIDDEN);
    shown = Math.max(shown, to);
  }
  parts.push(text.slice(shown));
  return parts.join("");
}
