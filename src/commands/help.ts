import type { Config } from "../config/config.ts";
import { code, join, md, table } from "../gitea/markdown.ts";
import { nearest } from "../nearest.ts";
import { type Answer, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";
import { asTyped, c, lines, type Sentence, say } from "./words/sentence.ts";

/**
 * Makes the verb `help` of the table of all verbs, so that it can say nothing else than what the parser
 * knows.
 */
export function makeHelp(verbs: () => readonly Verb[]): Verb {
  return {
    name: "help",
    summary: "says what can be typed, and who may",
    usage: "help [VERB]",
    examples: ["help", "help summon"],
    who: "anybody",
    flags: {},
    isReadOnly: true,
    async run(command, _origin, deps): Promise<Answer> {
      const typed = command.words[0];
      if (typed === undefined) {
        const reply = overview(verbs(), agentsOf(deps.config));
        return { kind: "done", reply, line: reply };
      }
      const verb = verbs().find((one) => one.name === typed.toLowerCase());
      if (verb === undefined) {
        return refuse(
          "usage",
          replies.unknownVerb(
            typed,
            nearest(
              typed,
              verbs().map((one) => one.name),
            ),
          ),
        );
      }
      return { kind: "done", reply: details(verb), line: details(verb) };
    },
  };
}

/** `Agents here: allegro, ezra.` and why one of them cannot be summoned. */
function agentsOf(config: Pick<Config, "agents">): Sentence {
  const agents = [...config.agents.values()];
  if (agents.length === 0) return say`No agent is configured here.`;
  const unfit = agents.filter((agent) => agent.unavailable !== null);
  return lines(
    say`Agents here: ${agents.map((agent) => agent.name).join(", ")}.`,
    ...unfit.map((agent) => say`${agent.name} cannot be summoned: ${agent.unavailable ?? ""}`),
  );
}

function overview(verbs: readonly Verb[], agents: Sentence): Sentence {
  const rows = verbs.map((verb) => [code(`/lazarus ${verb.usage}`), verb.summary, verb.who]);
  return {
    markdown: join(
      [
        md`What you can type, at the start of a line:`,
        table(["command", "what it does", "who"], rows),
        agents.markdown,
      ],
      "\n\n",
    ),
    text: `${verbs.map((verb) => `${verb.usage}\n    ${verb.summary} (${verb.who})`).join("\n")}\n\n${agents.text}`,
  };
}

function details(verb: Verb): Sentence {
  const flags = Object.entries(verb.flags);
  return lines(
    say`${asTyped(verb.usage)} ${verb.summary}. Who may: ${verb.who}.`,
    ...flags.map(([name, flag]) => say`${c(name)}: ${flag.help}.`),
    ...(verb.examples.length === 0 ? [] : [say`For example:`]),
    ...verb.examples.map((example) => say`${asTyped(example)}`),
  );
}
