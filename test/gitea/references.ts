/**
 * Gitea's own patterns (modules/references/references.go), and what it makes of a text that is read without
 * Markdown.
 */
const MENTION = /(?:\s|^|\(|\[)(@[-\w][-.\w]*?|@[-\w][-.\w]*?\/[-\w][-.\w]*?)(?:\s|$|[:,;.?!](\s|$)|'|\)|\])/;
const NUMERIC = /(?:\s|^|\(|\[|'|")([#!][0-9]+)(?:\s|$|\)|\]|'|"|[:;,.?!]\s|[:;,.?!]$)/;
const CROSS = /(?:\s|^|\(|\[)([0-9a-zA-Z-_.]+\/[0-9a-zA-Z-_.]+[#!][0-9]+)(?:\s|$|\)|\]|[:;,.?!]\s|[:;,.?!]$)/;
const URL = /(?:\s|^|\(|\[)https?:\/\/[^\s/]+\/[0-9a-zA-Z-_.]+\/[0-9a-zA-Z-_.]+\/(?:issues|pulls)\/[0-9]+/;
const AUTOLINK = /(?:^|[\s*_~(])(?:https?:\/\/|ftp:\/\/|www\.[-a-z0-9@:%._+~#=]{2,256}\.[a-z]{2,6})/;
const CLOSING =
  /(?:\s|^|\(|\[)(?:close[sd]?|fix|fixe[sd]|resolve[sd]?|reopen|reopens|reopened):? (?:[#!]\d|[\w.-]+\/[\w.-]+[#!]\d|https?:\/\/)/i;

/** What would be live in this text, were it a text node of parsed Markdown. */
export function liveIn(text: string): string[] {
  return named({ MENTION, NUMERIC, CROSS, URL, AUTOLINK, CLOSING }, text);
}

/** What would close something in this text, were it a title or a commit message. */
export function closingIn(text: string): string[] {
  return named({ CLOSING }, text);
}

function named(patterns: Record<string, RegExp>, text: string): string[] {
  return Object.entries(patterns).flatMap(([name, pattern]) => {
    const found = pattern.exec(text);
    return found === null ? [] : [`${name} ${JSON.stringify(found[0])}`];
  });
}
