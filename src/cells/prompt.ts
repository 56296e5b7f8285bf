import { toIso } from "../clock.ts";
import { sha256 } from "../hash.ts";
import { clean, fence } from "../protocol/agent-text.ts";
import type { PeoplePush, PromptKind } from "../protocol/shapes.ts";
import type { Requester, Run } from "./cell.ts";
import type { ExitClass } from "./exit.ts";

/** What a run is asked, to be written down together with it. */
export interface NewPrompt {
  readonly kind: PromptKind;
  readonly from: Requester;
  /** That person's own words, cleaned; null where there are none. */
  readonly said: string | null;
  /** What is new to the agent; empty for the brief, which stands in the cell's row. */
  readonly text: string;
  readonly sha256: string;
}

/** What went before a prompt. */
export interface Before {
  /** The last run that began; null where none has. */
  readonly last: Pick<Run, "exitClass" | "exitWhy" | "stopped" | "code" | "signal"> | null;
  /** What the agent asked at the end of it; its words. */
  readonly question: string | null;
  /** What people said to runs that were interrupted since, oldest first. */
  readonly open: readonly { readonly from: string; readonly said: string }[];
  /** What another agent left that worked last; null where it was the same, or nobody. */
  readonly left: string | null;
}

/** The prompt of a cell's first run. */
export function briefPrompt(from: Requester): NewPrompt {
  return { kind: "brief", from, said: null, text: "", sha256: "" };
}

/** What a person asks an agent that worked in the cell before: words of theirs, or just to go on. Pure. */
export function wordsPrompt(from: Requester, words: string | null, before: Before): NewPrompt {
  const said = clean(words ?? "") || null;
  const sections = [
    ...circumstances(before),
    said === null
      ? `${from.login} asks you to go on.`
      : `## What ${from.login} ${before.question === null ? "says to you" : "answers"}\n\n${fence(said)}`,
  ];
  return made("words", { from, said, sections });
}

/** What the next agent of a team is asked: to go on from what the one before left. Pure. */
export function nextPrompt(from: Requester, before: Before): NewPrompt {
  return made("words", { from, said: null, sections: [...circumstances(before), "It is your turn now."] });
}

/** What an agent is asked that only looks at the work. Pure. */
export function visitPrompt(
  from: Requester,
  { base, tip }: { readonly base: string; readonly tip: string | null },
): NewPrompt {
  const work =
    tip === null
      ? `Nothing was made yet: the tree is at ${base.slice(0, 12)}.`
      : `The work is at ${tip.slice(0, 12)}, made from ${base.slice(0, 12)}: \`git log ${base.slice(0, 12)}..${tip.slice(0, 12)}\`.`;
  const sections = [
    `${from.login} invited you to look at the work in this cell. You are an observer: you read, and change nothing. The tree cannot be written, or is a copy that is thrown away.`,
    work,
    "Write what you found as a Markdown file into the folder `$LAZARUS_ARTIFACTS/reports/`: it is posted in your name where the work is looked at. Commit nothing and leave no hand-over, whatever the mission says about that.",
  ];
  return made("words", { from, said: null, sections });
}

/**
 * What a turn begins with that people's messages or reviews are the reason for; these are added when it
 * starts. Pure.
 */
export function toldPrompt(from: Requester, before: Before): NewPrompt {
  return made("words", { from, said: null, sections: circumstances(before) });
}

/**
 * What an agent is asked whose work fails checks that pass on the base: to mend that. Pure. `failed`: by
 * name, with how each ended and the end of its output.
 */
export function fixPrompt(
  failed: readonly {
    readonly name: string;
    readonly command: string | null;
    readonly code: number | null;
    readonly why: string | null;
    readonly tail: string;
  }[],
  { base, before }: { readonly base: string; readonly before: Before },
): NewPrompt {
  const checks = failed.map(({ name, command, code, why, tail }) => {
    const how = why ?? `exit ${code ?? "unknown"}`;
    const ran = command === null ? [] : ["Its command:", fence(clean(command))];
    const output = tail === "" ? ["It printed nothing."] : ["The end of its output:", fence(clean(tail))];
    return [`### ${name}: ${how}`, ...ran, ...output].join("\n\n");
  });
  const sections = [
    ...circumstances(before),
    `## These checks fail\n\nLazarus ran them on what you pushed. They pass on \`${clean(base)}\`. Mend what you made; do not weaken the checks. If a check is wrong, say so in your report and stop.`,
    ...checks,
  ];
  return made("words", { from: { id: null, login: "lazarus" }, said: null, sections });
}

/** A prompt with what people told the agent until its run started, in the order in which they did. Pure. */
export function withMessages(
  text: string,
  messages: readonly { readonly author: Requester; readonly at: number; readonly said: string }[],
): { readonly text: string; readonly sha256: string } {
  const told = messages.map(
    ({ author, at, said }) => `## What ${author.login} tells you (${minute(at)} UTC)\n\n${fence(said)}`,
  );
  const whole = `${[text.trim(), ...told].filter((one) => one !== "").join("\n\n")}\n`;
  return { text: whole, sha256: sha256(whole) };
}

function minute(at: number): string {
  return toIso(at).slice(0, 16).replace("T", " ");
}

/**
 * What a run is told that goes on by itself where another was interrupted: not the whole brief again. Pure.
 */
export function againPrompt(before: Before): NewPrompt {
  const ended = interruption(before) ?? "nobody knows why";
  const sections = [
    `Go on where you stopped: you were interrupted, since ${ended}.`,
    ...before.open.map(stillOpen),
  ];
  return made("again", { from: { id: null, login: "lazarus" }, said: null, sections });
}

/** What people pushed to the branch, told to the agent whose run is to start from there. Pure. */
export function pushText(people: PeoplePush): string {
  const list = people.commits.map((one) => clean(`${one.hash.slice(0, 10)} ${one.author}: ${one.subject}`));
  const more = people.count - people.commits.length;
  const rest = more > 0 ? `\nand ${more} more` : "";
  const what = `## People pushed to the branch\n\nSince your last run ${people.count === 1 ? "1 commit was" : `${people.count} commits were`} pushed to \`${clean(people.branch)}\`, which ends at ${people.tip.slice(0, 12)} now:`;
  const where = people.isTaken
    ? "Your tree holds them. Go on from there."
    : `Your tree does not hold them: ${people.why}. Merge \`refs/lazarus/people\` first: otherwise what you make goes to a branch of its own.`;
  return `${what}\n\n${fence(`${list.join("\n")}${rest}`)}\n\n${where}`;
}

/** How the last run ended, what it was told before that, and what it asked. */
function circumstances(before: Before): string[] {
  // Of another's run its hand-over tells.
  const ended = before.left === null ? interruption(before) : null;
  return [
    ...(before.left === null ? [] : [before.left]),
    ...(ended === null ? [] : [`Your last run was interrupted: ${ended}.`]),
    ...before.open.map(stillOpen),
    ...(before.question === null
      ? []
      : [`## ${before.left === null ? "You" : "It"} asked\n\n${fence(clean(before.question))}`]),
  ];
}

function made(
  kind: NewPrompt["kind"],
  { from, said, sections }: Pick<NewPrompt, "from" | "said"> & { readonly sections: readonly string[] },
): NewPrompt {
  const text = `${sections.join("\n\n")}\n`;
  return { kind, from, said, text, sha256: sha256(text) };
}

function stillOpen({ from, said }: Before["open"][number]): string {
  return `## What ${from} said to you before you were interrupted\n\n${fence(said)}`;
}

/** Whether a run that ended like this was done with what it had been told. */
export function isInterrupted(exit: ExitClass | null): boolean {
  return exit !== "done" && exit !== "nothing-changed" && exit !== "question";
}

/** Why the last run did not come to its own end, told to its agent; null where it did. */
function interruption({ last }: Before): string | null {
  if (last === null || !isInterrupted(last.exitClass)) return null;
  switch (last.exitClass) {
    case "quota":
      return "your quota was used up";
    case "not-logged-in":
      return "you were not logged in";
    case "no-credit":
      return "your model's account had no credit";
    case "cannot-run":
      return "you could not be run";
    case "machine":
      return last.exitWhy ?? "the machine ended you";
    case "stopped":
      return "a person stopped you";
    case "over-limit":
      return last.stopped ?? "you came to a limit of your own";
    case "lost":
      return "you were gone, and nobody saw why";
    default:
      return last.signal !== null
        ? `you were ended by signal ${last.signal}`
        : last.code !== null && last.code !== 0
          ? `you ended with exit code ${last.code}`
          : "you ended with an error";
  }
}
