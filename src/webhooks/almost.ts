import { lineAt, type Parsed } from "../commands/parsing/parse.ts";
import { replyJob } from "../commands/posting/answer.ts";
import { type UnaskedDeps, writeUnasked } from "../commands/posting/unasked.ts";
import { replies } from "../commands/words/replies.ts";
import type { Sentence } from "../commands/words/sentence.ts";
import { findMarker } from "../gitea/markdown.ts";
import type { Entry, Reading } from "./read-thread.ts";
import type { SeenEntries } from "./seen-entries.ts";

interface AlmostDeps extends UnaskedDeps {
  readonly handled: Pick<SeenEntries, "mark">;
  parse(text: string): Parsed[];
  forgeNow(): number | null;
}

/**
 * An issue whose text is older when it is first looked at is left alone: nobody waits for an answer any more.
 */
const OLDEST_MS = 24 * 60 * 60_000;
const LONGEST_LINE = 200;

/** Tells whoever mentioned the bot at the start of a line, and typed no command, how that is done. */
export function answerMention(entry: Entry, reading: Reading, deps: AlmostDeps): void {
  const line = mentionIn(entry.body, reading.botLogin, deps);
  if (line !== null) tell(entry.author.id, wordsOf(line), { reading, deps });
}

/**
 * The same for a command or a mention in the text of an issue or pull request that was just opened; it is
 * looked at once, so no edit is.
 */
export function answerOpening(reading: Reading, deps: AlmostDeps): void {
  const { issue, repository, number, botId, since } = reading;
  if (!deps.handled.mark(repository.id, "issue", number)) return;
  if (issue.author.id === botId || findMarker(issue.body) !== null || issue.createdAt < since) return;
  const now = deps.forgeNow();
  if (now === null || now - issue.createdAt > OLDEST_MS) return;
  const [command] = deps.parse(issue.body);
  const line = command === undefined ? null : lineOf(issue.body, command);
  const words = line === null ? null : replies.inIssueText(line);
  const mention = words === null ? mentionIn(issue.body, reading.botLogin, deps) : null;
  const said = words ?? (mention === null ? null : wordsOf(mention));
  if (said !== null) tell(issue.author.id, said, { reading, deps });
}

type Mention = { readonly line: string; readonly isCommand: boolean };

/** The first line that would be a command if it began with `/lazarus` where the bot is mentioned. */
function mentionIn(text: string, login: string, deps: Pick<AlmostDeps, "parse">): Mention | null {
  const name = login.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const asTyped = text.replace(new RegExp(`^([ \\t]{0,3})@${name}[:,]?(?=\\s|$)`, "gim"), "$1/lazarus");
  if (asTyped === text) return null;
  const [first] = deps.parse(asTyped);
  return first === undefined ? null : { line: lineOf(asTyped, first), isCommand: first.kind === "command" };
}

function wordsOf({ line, isCommand }: Mention): Sentence {
  return isCommand && line !== "/lazarus" ? replies.mentioned(line) : replies.mentionedOnly();
}

function lineOf(text: string, parsed: Parsed): string {
  const line = lineAt(text, parsed.line).trim();
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} …` : line;
}

/** Once for each person and thread: two bots that mention each other come to an end. */
function tell(personId: number, said: Sentence, at: { reading: Reading; deps: AlmostDeps }): void {
  const { repository, number } = at.reading;
  const marker = `hint:${repository.id}:${number}:${personId}`;
  writeUnasked(replyJob({ repository, number, marker, body: said.markdown }), at.deps);
}
