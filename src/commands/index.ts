import { approve } from "./approve.ts";
import { close } from "./close.ts";
import type { Verb } from "./command.ts";
import { decline } from "./decline.ts";
import { destroy } from "./destroy.ts";
import { extend } from "./extend.ts";
import { makeHelp } from "./help.ts";
import { hold, resume } from "./hold.ts";
import { invite } from "./invite.ts";
import { items } from "./items.ts";
import { logs } from "./logs.ts";
import type { VerbGrammar } from "./parsing/parse.ts";
import { publish } from "./publish.ts";
import { revive } from "./revive.ts";
import { status } from "./status.ts";
import { stop } from "./stop.ts";
import { summon } from "./summon.ts";
import { team } from "./team.ts";
import { tell } from "./tell.ts";
import { why } from "./why.ts";

/** Every verb, in the order in which help lists them. */
export const VERBS: readonly Verb[] = [
  summon,
  team,
  invite,
  status,
  logs,
  items,
  tell,
  stop,
  revive,
  approve,
  decline,
  publish,
  extend,
  close,
  destroy,
  why,
  hold,
  resume,
  makeHelp(() => VERBS),
];

/** What the parser needs to know of the verbs. */
export const GRAMMAR: readonly VerbGrammar[] = VERBS.map((verb) => ({
  verb: verb.name,
  flags: Object.fromEntries(Object.entries(verb.flags).map(([name, flag]) => [name, flag.takes])),
  ...(verb.isRaw ? { raw: true } : {}),
}));

/** The verb of a name, if there is one. */
export function verbNamed(name: string): Verb | null {
  return VERBS.find((verb) => verb.name === name) ?? null;
}
