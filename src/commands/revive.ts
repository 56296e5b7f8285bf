import { restOf } from "../cells/budget.ts";
import { type Cell, includesRole, isResting } from "../cells/cell.ts";
import { isLost } from "../cells/lost.ts";
import { waitsByItself } from "../cells/steps/decide.ts";
import { restsAfterRounds } from "../cells/steps/review-turn.ts";
import { nearest } from "../nearest.ts";
import { reachable } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Command, type Deps, type Origin, refuse, type Verb } from "./command.ts";
import { restRefusal } from "./words/budget-words.ts";
import { replies } from "./words/replies.ts";

/** As much as a comment can hold. */
const MOST_WORDS_BYTES = 64 * 1024;

type ReviveDeps = Pick<Deps, "registry" | "rights" | "clock" | "lifecycle" | "steps" | "config">;

export const revive: Verb = {
  name: "revive",
  summary: "runs the agent again in the same cell, from where it stands, or from its archive",
  takesWords: true,
  usage: "revive [CELL] [AGENT] [-- words for the agent]",
  examples: [
    "revive",
    "revive 4f1c0b7e -- yes, the old tests too",
    "revive 4f1c0b7e ezra -- look at what allegro left",
  ],
  who: "executor; director if archived",
  flags: {},
  async run(command, origin, deps: ReviveDeps) {
    const { cellWord, agentWord } = splitRevive(command, origin, deps);
    if (Buffer.byteLength(command.text ?? "") > MOST_WORDS_BYTES)
      return refuse("usage", replies.tooManyWords(MOST_WORDS_BYTES));
    const fits = (cell: Cell) => whyNot(cell, deps) === null;
    const found = await findCell(cellWord, { verb: "revive", role: "executor", fits }, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const isDirectors = cell.state === "archived" || restsAfterRounds(cell, deps);
    if (isDirectors && !includesRole(found.role, "director")) {
      const need = { verb: "revive", role: "director", fits } as const;
      const asDirector = await findCell(cellWord, need, { origin, deps });
      if ("refusal" in asDirector) return asDirector.refusal;
    }
    const no = whyNot(cell, deps);
    if (no !== null) return no;
    const rest = restOf(cell, deps);
    if (rest !== null && (rest.kind !== "turns" || !includesRole(found.role, "director")))
      return refuse("refused", restRefusal(cell, rest));
    const agent = agentWord ?? deps.registry.lastKeptRun(cell.id)?.agent ?? cell.agent;
    return start(agent, { cell, words: command.text, origin, deps });
  },
};

/** What keeps a cell from being revived; null where nothing does. */
function whyNot(cell: Cell, deps: Pick<Deps, "registry">): Answer | null {
  if (cell.state === "archived" && cell.sealedAt === null && !isLost(cell))
    return refuse("refused", replies.neverMade(cell));
  if (cell.closing?.thenDestroy) return refuse("refused", replies.beingDestroyed(cell));
  const last = deps.registry.lastRun(cell.id);
  const isInLine = last?.state === "waiting" || last?.state === "admitted";
  // What would go on by itself later goes on now.
  if (last !== null && isInLine && !waitsByItself(last)) return refuse("refused", replies.alreadyWaits(cell));
  if (last?.state === "running") return refuse("refused", replies.alreadyRuns(cell));
  if (!isResting(cell, last) && cell.state !== "archived")
    return refuse("refused", replies.cannotRevive(cell));
  return null;
}

function start(
  agentName: string,
  at: { cell: Cell; words: string | null; origin: Origin; deps: ReviveDeps },
): Answer {
  const { cell, words, origin, deps } = at;
  const agents = [...deps.config.agents.keys()];
  const agent = deps.config.agents.get(agentName.toLowerCase());
  if (agent === undefined)
    return refuse("not-found", replies.unknownAgent(agentName, agents, nearest(agentName, agents)));
  if (agent.unavailable !== null)
    return refuse("refused", replies.agentUnavailable(agent.name, agent.unavailable));
  return {
    kind: "done",
    line: () => {
      const run = deps.registry.lastRun(cell.id);
      const place = run === null ? null : deps.steps.blockedBy(run);
      const say = isLost(cell)
        ? replies.startingAnew
        : cell.state === "archived"
          ? replies.bringingBack
          : replies.reviving;
      return say({ ...cell, agent: agent.name }, place);
    },
    data: { id: cell.id },
    effects: () => {
      deps.registry.addMember(cell.id, { name: agent.name, kind: "bot", role: "executor" });
      deps.lifecycle.rerun(cell, agent.name, { ...origin.person, words });
    },
  };
}

/** A first word is a CELL only if it matches one that is reachable here. */
function splitRevive(command: Command, origin: Origin, deps: Pick<Deps, "registry">) {
  const [first, second] = command.words;
  if (first === undefined) return { cellWord: null, agentWord: null };
  if (reachable(first, origin, deps).length > 0) return { cellWord: first, agentWord: second ?? null };
  return origin.isOperator
    ? { cellWord: first, agentWord: second ?? null }
    : { cellWord: null, agentWord: first };
}
