import { code, join, md, table } from "../gitea/markdown.ts";
import { nearest } from "../nearest.ts";
import { type Answer, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";
import { c, lines, type Sentence, say } from "./words/sentence.ts";

/** Makes the verb `help` of the table of all verbs, so that it can say nothing else than what the parser knows. */
export function makeHelp(verbs: () => readonly Verb[]): Verb {
  return {
    name: "help",
    summary: "says what can be typed, and who may",
    usage: "help [VERB]",
    examples: ["help", "help summon"],
    who: "anybody",
    flags: {},
    isReadOnly: true,
    async run(command): Promise<Answer> {
      const built = verbs().filter((verb) => verb.run !== undefined);
      const typed = command.words[0];
      if (typed === undefined) return { kind: "done", reply: overview(built), line: overview(built) };
      const verb = verbs().find((one) => one.name === typed.toLowerCase());
      if (verb === undefined) {
        return refuse(
          "usage",
          replies.unknownVerb(
            typed,
            nearest(
              typed,
              built.map((one) => one.name),
            ),
          ),
        );
      }
      if (verb.run === undefined) return refuse("refused", replies.notInThisVersion(verb.name));
      return { kind: "done", reply: details(verb), line: details(verb) };
    },
  };
}

function overview(verbs: readonly Verb[]): Sentence {
  const rows = verbs.map((verb) => [code(`/lazarus ${verb.usage}`), verb.summary, verb.who]);
  return {
    markdown: join(
      [md`What you can type, at the start of a line:`, table(["command", "what it does", "who"], rows)],
      "\n\n",
    ),
    text: verbs.map((verb) => `${verb.usage}\n    ${verb.summary} (${verb.who})`).join("\n"),
  };
}

function details(verb: Verb): Sentence {
  const flags = Object.entries(verb.flags).filter(([, flag]) => !flag.isLater);
  return lines(
    say`${c(`/lazarus ${verb.usage}`)} ${verb.summary}. Who may: ${verb.who}.`,
    ...flags.map(([name, flag]) => say`${c(name)}: ${flag.help}.`),
    ...(verb.examples.length === 0 ? [] : [say`For example:`]),
    ...verb.examples.map((example) => say`${c(`/lazarus ${example}`)}`),
  );
}
