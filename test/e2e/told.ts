const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/(?<=version )[\w.+-]+/g, "<version>"],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<id>"],
  [/\b[0-9a-f]{7,64}\b/g, "<id>"],
  [/(?<=key=)[\w…-]+/g, "<key>"],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<moment>"],
  [/\b\d{4}-\d\d-\d\d/g, "<date>"],
  [/(?<=until )\d+ [A-Z][a-z]+/g, "<date>"],
  [/\b\d\d:\d\d(:\d\d)?\b/g, "<time>"],
  [/\b\d+(\.\d+)? (ms|s|min|h)\b/g, "<span>"],
  [/\b\d+[smhd]\b/g, "<span>"],
  // Tables are as wide as what stands in them.
  [/(?<=\S) {2,}/g, "  "],
];

/** What was told, without what is another each time: ids, times, spans, versions. */
export function withoutChance(text: string): string {
  return PATTERNS.reduce((told, [pattern, name]) => told.replace(pattern, name), text).trimEnd();
}

/** A text of docs as a pattern of what is to be told: a line `…` stands for any lines. */
export function patternOf(text: string): RegExp {
  const lines = withoutChance(text).split("\n");
  const literal = (line: string) => line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const parts = lines.map((line) => (line === "…" ? "(?:.*\\n)*?" : `${literal(line)}\\n`));
  return new RegExp(`^${parts.join("")}$`);
}

/**
 * A text as a reader of the page sees it, in few lines: no marker, what is folded by its name, no empty
 * lines.
 */
export function readable(body: string): string {
  return body
    .replace(/\[([\w./-]*#\d+)\]\(\S+?\)/g, "$1")
    .replace(/<!--.*?-->\n/g, "")
    .replace(/<details><summary>(.*?)<\/summary>[\s\S]*?<\/details>\s*/g, "▸ $1  ")
    .replace(/\n(>?\s*\n)+/g, "\n")
    .trim();
}
