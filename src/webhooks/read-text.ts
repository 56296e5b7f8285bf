import { GRAMMAR } from "../commands/index.ts";
import { type Parsed, parseCommands } from "../commands/parsing/parse.ts";

/** The commands in a comment, by the grammar of all verbs. */
export function parseText(text: string): Parsed[] {
  return parseCommands(text, GRAMMAR);
}
