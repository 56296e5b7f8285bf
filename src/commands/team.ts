import { nearest } from "../nearest.ts";
import { type Answer, type Command, type Deps, refuse, type Verb } from "./command.ts";
import { parseTarget } from "./parsing/target.ts";
import { askForCell, summon, usable, type Words } from "./summon.ts";
import { replies } from "./words/replies.ts";

export const team: Verb = {
  name: "team",
  summary: "makes a cell in which several agents work on the target, one after the other",
  takesWords: true,
  usage: "team A+B[+C] [TARGET] [--ttl 4h] [--base BRANCH] [--plan] [-- words for the agents]",
  examples: ["team allegro+ezra", "team allegro+ezra+kimi acme/app#262 --ttl 8h"],
  who: "write permission on the target",
  flags: summon.flags,
  async run(command, origin, deps) {
    const words = readTeam(command, deps);
    return "refusal" in words ? words.refusal : askForCell(words, command, { origin, deps });
  },
};

/** Each agent once, in the order of their turns. */
function readTeam(command: Command, deps: Pick<Deps, "config">): Words | { readonly refusal: Answer } {
  const [typed, target, ...rest] = command.words;
  if (typed === undefined || rest.length > 0) return { refusal: refuse("usage", replies.usage(team.usage)) };
  const names = typed.split("+").map((name) => name.toLowerCase());
  if (names.length < 2 || names.includes("")) return { refusal: refuse("usage", replies.notATeam(typed)) };
  const all = [...deps.config.agents.keys()];
  const unknown = names.find((name) => !deps.config.agents.has(name));
  if (unknown !== undefined)
    return { refusal: refuse("not-found", replies.unknownAgent(unknown, all, nearest(unknown, all))) };
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) return { refusal: refuse("usage", replies.namedTwice(twice)) };
  const most = deps.config.limits.team;
  if (names.length > most) return { refusal: refuse("usage", replies.tooManyAgents(names.length, most)) };
  if (target !== undefined && parseTarget(target, deps.config.forge.url) === null)
    return { refusal: refuse("usage", replies.notATarget(target)) };
  const found = names.map((name) => usable(name, target ?? null, deps));
  const refused = found.find((one) => "refusal" in one);
  if (refused !== undefined) return refused;
  const [first, ...next] = found.flatMap((one) => ("agent" in one ? [one] : []));
  return first === undefined
    ? { refusal: refuse("usage", replies.usage(team.usage)) }
    : { ...first, next: next.map((one) => one.agent) };
}
