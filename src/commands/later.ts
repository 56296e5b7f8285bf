import type { Verb } from "./command.ts";

/**
 * Verbs of the contract that this version understands and refuses with `not in this version`; help leaves
 * them out.
 */
export const laterVerbs: readonly Verb[] = [
  later("invite", "invite CELL bot:AGENT|@user ROLE [--for 2d]", { "--for": "value" }),
];

function later(name: string, usage: string, flags: Record<string, "value" | "switch">): Verb {
  return {
    name,
    usage,
    summary: "not in this version",
    examples: [],
    who: "-",
    flags: Object.fromEntries(
      Object.entries(flags).map(([flag, takes]) => [flag, { takes, help: "", isLater: true }]),
    ),
  };
}
