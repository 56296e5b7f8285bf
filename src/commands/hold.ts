import { holdOf, setHold } from "../cells/hold.ts";
import { toIso } from "../clock.ts";
import { type Answer, type Deps, type Origin, refuse, refuseForRights, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

type HoldDeps = Pick<Deps, "registry" | "rights" | "clock" | "steps">;

/** No new run starts until `resume`; what runs goes on. */
export const hold: Verb = {
  name: "hold",
  summary: "lets no new run start; what runs goes on",
  usage: "hold [why]",
  examples: ["hold", "hold the machine is being upgraded"],
  who: "operator (an entry of directors)",
  flags: {},
  async run(command, origin, deps: HoldDeps): Promise<Answer> {
    const refusal = await mustBeOperator("hold", origin, deps);
    if (refusal !== null) return refusal;
    const why = command.words.join(" ").slice(0, MOST_CHARS);
    const [who, at] = [origin.person.login, deps.clock.now()];
    return {
      kind: "done",
      line: replies.held(why),
      data: { hold: { who, why, at: toIso(at) } },
      effects: () => setHold(deps.registry, { who, why, at }),
    };
  },
};

export const resume: Verb = {
  name: "resume",
  summary: "lets runs start again after a hold",
  usage: "resume [why]",
  examples: ["resume", "resume the machine is back"],
  who: "operator (an entry of directors)",
  flags: {},
  async run(_command, origin, deps: HoldDeps): Promise<Answer> {
    const refusal = await mustBeOperator("resume", origin, deps);
    if (refusal !== null) return refusal;
    if (holdOf(deps.registry) === null) return refuse("refused", replies.notHeld());
    return {
      kind: "done",
      line: replies.resumed(),
      data: { hold: null },
      effects: () => {
        setHold(deps.registry, null);
        deps.steps.admitWaiting();
      },
    };
  },
};

async function mustBeOperator(verb: string, origin: Origin, { rights }: HoldDeps): Promise<Answer | null> {
  if (origin.isOperator || (await rights.isOperator(origin.person))) return null;
  return refuseForRights(replies.notOperator(verb, origin.person.login));
}

const MOST_CHARS = 300;
