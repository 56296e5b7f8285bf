import type { Verb } from "../commands/command.ts";

/**
 * Parts what was typed after a verb into its own words and those for the agent, which follow ` -- `. The
 * parser has eaten the dashes, so they are looked for in `raw`, the whole line as it was typed. What follows
 * AGENT and TARGET, or CELL and AGENT, is for the agent without them, too.
 */
export function wordsOf(
  verb: Pick<Verb, "takesWords">,
  words: readonly string[],
  raw: readonly string[],
): [readonly string[], string | null] {
  if (verb.takesWords !== true) return [words, null];
  const dashes = raw.indexOf("--");
  const said = dashes < 0 ? 0 : raw.length - dashes - 1;
  const own = Math.min(MOST_OWN, words.length - said);
  const text = words.slice(own).join(" ");
  return [words.slice(0, own), text.trim() === "" ? null : text];
}

const MOST_OWN = 2;
