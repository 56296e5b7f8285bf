import type { Verb } from "../commands/command.ts";

/**
 * What can be typed in a terminal, where there is no thread: two examples for each verb.
 * `test/cli/help.test.ts` parses every one of them.
 */
export const EXAMPLES: Readonly<Record<string, readonly [string, string, ...string[]]>> = {
  summon: [
    "summon allegro acme/app#262 --ttl 4h",
    "summon allegro acme/app --base release/2 -- keep the old tests",
  ],
  team: ["team allegro+ezra acme/app#262", "team allegro+ezra+kimi acme/app#262 --ttl 8h"],
  invite: ["invite 4f1c0b7e bot:kimi", "invite 4f1c0b7e @reader executor --for 2d"],
  status: ["status", "status 4f1c0b7e --json"],
  logs: ["logs 4f1c0b7e --tail 200", "logs 4f1c0b7e -f --raw"],
  items: ["items 4f1c0b7e", "items 4f1c0b7e --json"],
  diff: ["diff 4f1c0b7e", "diff 4f1c0b7e --json"],
  tell: ["tell 4f1c0b7e keep the old tests", "tell 4f1c0b7e --now -", "tell 4f1c0b7e --retract 7"],
  stop: ["stop 4f1c0b7e", "stop 4f1c --json"],
  revive: ["revive 4f1c0b7e ezra --wait", "revive 4f1c0b7e -- keep the old tests"],
  approve: ["approve 4f1c0b7e 3fa9c1d2", "approve 4f1c0b7e --yes --json"],
  decline: ["decline 4f1c0b7e", "decline 4f1c0b7e out of scope"],
  publish: ["publish 4f1c0b7e --allow-protected", "publish 4f1c0b7e --allow-secret NODE_ENV"],
  extend: ["extend 4f1c0b7e 4h", "extend 4f1c0b7e 2d"],
  close: ["close 4f1c0b7e", "close 4f1c0b7e --discard", "close 4f1c0b7e --merge"],
  destroy: ["destroy 4f1c0b7e", "destroy 4f1c0b7e --force"],
  why: ["why 4f1c0b7e", "why 4f1c0b7e --json"],
  hold: ["hold", "hold the machine is being upgraded"],
  resume: ["resume", "resume --json"],
  open: ["open", "open --json"],
};

/** What a verb takes there: what a thread would tell must be typed. */
export function terminalUsage(verb: Verb): string {
  const words = verb.usage.split(" ").slice(1).join(" ").replace("[TARGET]", "TARGET");
  return verb.name === "status" ? words : words.replace("[CELL]", "CELL");
}

/** What stands below a verb's flags in its help. */
export function helpAfter(verb: Verb): string {
  const examples = EXAMPLES[verb.name] ?? [];
  const who = `\nWho may: whoever runs this command line. On a thread: ${verb.who}.`;
  return examples.length === 0
    ? who
    : `${who}\n\nExamples:\n${examples.map((one) => `  lazarus ${one}`).join("\n")}`;
}
