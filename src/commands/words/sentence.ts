import { code, type Markdown, md } from "../../gitea/markdown.ts";

/** One thing said to people: on the forge as Markdown, in a terminal as text. */
export interface Sentence {
  readonly markdown: Markdown;
  readonly text: string;
}

/** Words to be shown as code on the forge, and as they are in a terminal. */
export interface CodeWord {
  readonly code: string;
  /** How it reads in a terminal, where that differs. */
  readonly inTerminal?: string;
}

/** Marks what people may type or compare: a command, an id, a branch. */
export function c(text: string): CodeWord {
  return { code: text };
}

/**
 * A command as it is typed where it is read: `/lazarus stop 4f1c0b7e` on the forge, `lazarus stop 4f1c0b7e`
 * in a terminal.
 */
export function asTyped(command: string): CodeWord {
  return { code: `/lazarus ${command}`, inTerminal: `lazarus ${command}` };
}

/**
 * Makes a sentence; what is interpolated comes from outside and is defused for Markdown, and stays one line
 * in a terminal.
 */
export function say(
  parts: TemplateStringsArray,
  ...values: (string | number | CodeWord | Sentence)[]
): Sentence {
  const forMarkdown = values.map((value) => {
    if (typeof value !== "object") return value;
    return "code" in value ? code(value.code) : value.markdown;
  });
  const forText = values.map((value) => {
    if (typeof value !== "object") return onOneTerminalLine(String(value));
    return "code" in value ? marked(onOneTerminalLine(value.inTerminal ?? value.code)) : value.text;
  });
  return {
    markdown: md(parts, ...forMarkdown),
    text: parts.reduce((text, part, index) => text + (forText[index - 1] ?? "") + part),
  };
}

/** No Markdown in a terminal: one word stands as it is, several in quotes. */
function marked(words: string): string {
  return /\s|^$/.test(words) ? `'${words}'` : words;
}

/** Several sentences as one, each on a line of its own. */
export function lines(...sentences: Sentence[]): Sentence {
  const [first, ...rest] = sentences;
  if (first === undefined) return say``;
  return rest.reduce((all, next) => say`${all}\n${next}`, first);
}

/** `a, b and c`. */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Text that cannot move the cursor, colour or break the line of a terminal. */
export function onOneTerminalLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, " ");
}
