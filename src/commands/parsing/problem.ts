import { replies } from "../words/replies.ts";
import { c, type Sentence, say } from "../words/sentence.ts";
import type { Problem } from "./parse.ts";

/** What somebody is told whose command could not be read. */
export function problemReply(problem: Problem): Sentence {
  const { typed, hint } = problem;
  switch (problem.code) {
    case "unknown-verb":
      return replies.unknownVerb(typed, hint);
    case "unknown-flag":
      return replies.unknownFlag(typed, hint);
    case "missing-value":
      return say`${c(typed)} needs a value.`;
    case "unexpected-value":
      return say`${c(typed)} takes no value.`;
    case "repeated-flag":
      return say`${c(typed)} was given twice.`;
    case "open-quote":
      return say`A quote is not closed in ${c(typed)}.`;
    case "too-long":
      return say`That command is longer than I read: ${c(typed)} …`;
    case "too-much-text":
      return say`That comment is longer than I read (64 KB): type the command in a comment of its own.`;
    case "too-many":
      return replies.tooMany();
    default:
      return problem.code satisfies never;
  }
}
