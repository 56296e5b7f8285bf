import { type Cell, isResting } from "../cells/cell.ts";
import { heldFor, secretsHeld } from "../cells/steps/decide.ts";
import { aboutShown } from "../protocol/shown-secret.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Deps, refuse, type Verb } from "./command.ts";
import { guestReplies } from "./words/guest-words.ts";
import { letGo } from "./words/held-back.ts";
import { replies } from "./words/replies.ts";

const PROTECTED = "--allow-protected";
const SECRET = "--allow-secret";

export const publish: Verb = {
  name: "publish",
  summary: "pushes what was held back, after a director looked at it",
  usage: "publish [CELL] [--allow-protected] [--allow-secret NAME]",
  examples: ["publish", "publish 4f1c0b7e --allow-protected", "publish 4f1c0b7e --allow-secret NODE_ENV"],
  who: "director",
  flags: {
    [PROTECTED]: {
      takes: "switch",
      help: "also changes that decide what runs next, such as workflows; never secrets",
    },
    [SECRET]: {
      takes: "value",
      help: "also work that shows the value of this variable in env, in this cell (NAME,NAME for several); no other secret",
    },
  },
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "lifecycle">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "publish", role: "director", fits: (cell) => whyNot(cell, null, deps) === null },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const given = command.flags[SECRET];
    const lifting = [PROTECTED, SECRET].find((flag) => command.flags[flag] !== undefined);
    if (lifting !== undefined && found.own !== "director")
      return refuse("refused", guestReplies.notForGuests(cell, `publish ${lifting}`));
    const secrets = typeof given === "string" ? given.split(",").map((name) => name.trim()) : [];
    const refusal = whyNot(cell, { isProtected: command.flags[PROTECTED] === true, secrets }, deps);
    if (refusal !== null) return refusal;
    return {
      kind: "done",
      line: replies.publishing(cell),
      data: { id: cell.id },
      effects: () => deps.lifecycle.release(cell, origin.person.login, secrets),
    };
  },
};

interface Allowed {
  readonly isProtected: boolean;
  /** Names of variables. */
  readonly secrets: readonly string[];
}

/** Null for `allowed`: whatever may be allowed is. */
function whyNot(cell: Cell, allowed: Allowed | null, deps: Pick<Deps, "registry">): Answer | null {
  const { harvest } = cell;
  if (!isResting(cell, deps.registry.lastRun(cell.id)) || harvest === null)
    return refuse("refused", replies.nothingHeldBack(cell));
  if (harvest.forbidden.length > 0) return refuse("refused", replies.neverPublished(cell, harvest.forbidden));
  const shown = harvest.shownSecrets.map(({ name }) => name);
  // Any other secret, by whatever name: the forge's token too.
  const unknown = allowed?.secrets.find((name) => !shown.includes(name));
  if (unknown !== undefined) return refuse("refused", replies.noSecretToAllow(cell, unknown, shown));
  const isHeld = heldFor(cell).length > 0 || cell.pushRefused !== null;
  if (!isHeld || harvest.tip === null || harvest.tip === cell.publishedTip) {
    return refuse("refused", replies.nothingHeldBack(cell));
  }
  if (allowed === null) return null;
  const words = letGo(cell) ?? "";
  const secrets = secretsHeld(cell).filter(({ name }) => !allowed.secrets.includes(name));
  if (secrets.length > 0)
    return refuse("refused", replies.needsAllowSecret(cell, secrets.map(aboutShown), words));
  if (harvest.protectedPaths.length > 0 && !allowed.isProtected) {
    return refuse("refused", replies.needsAllowProtected(cell, harvest.protectedPaths, words));
  }
  return null;
}
