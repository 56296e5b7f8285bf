import type { Verb } from "../commands/command.ts";

/**
 * Parts what was typed after a verb into its own words and those for the agent, which follow ` -- `. The
 * parser has eaten the dashes, so they are looked for in `raw`, the whole line as it was typed. What follows
 * AGENT and TARGET, or CELL and AGENT, is for the agent without them, too. The words of a raw verb begin
 * after its CELL.
 */
export function wordsOf(
  verb: Pick<Verb, "takesWords" | "isRaw">,
  words: readonly string[],
  raw: readonly string[],
): [readonly string[], string | null] {
  if (verb.isRaw === true) return [words.slice(0, 1), textOf(words.slice(1))];
  if (verb.takesWords !== true) return [words, null];
  const dashes = raw.indexOf("--");
  const said = dashes < 0 ? 0 : raw.length - dashes - 1;
  const own = Math.min(MOST_OWN, words.length - said);
  return [words.slice(0, own), textOf(words.slice(own))];
}

function textOf(words: readonly string[]): string | null {
  const text = words.join(" ");
  return text.trim() === "" ? null : text;
}

const MOST_OWN = 2;
