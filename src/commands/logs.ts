import type { Cell, Run } from "../cells/cell.ts";
import { secretsGiven } from "../cells/given-secrets.ts";
import { SETUP_LOG } from "../cells/names.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

const DEFAULT_LINES = 50;
const MOST_LINES = 1000;

export const logs: Verb = {
  name: "logs",
  summary: "shows the end of the current or last run's log in words, secrets hidden",
  usage: "logs [CELL] [--tail 50] [--raw] [--setup]",
  examples: ["logs", "logs 4f1c0b7e --tail 200", "logs --setup"],
  who: "executor",
  flags: {
    "--tail": { takes: "value", help: "how many lines, 50 unless said, at most 1000" },
    "--raw": { takes: "switch", help: "the file as the agent wrote it, and not what it says in words" },
    "--setup": { takes: "switch", help: "of what set the cell up, also where a run followed" },
  },
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "queue" | "config">) {
    const typed = command.flags["--tail"];
    const raw = command.flags["--raw"] === true;
    const lines = typed === undefined ? DEFAULT_LINES : Number(typed);
    if (!Number.isInteger(lines) || lines < 1 || lines > MOST_LINES)
      return refuse("usage", replies.badTail(String(typed)));
    const isOfSetup = command.flags["--setup"] === true;
    const logged = (cell: Cell) => loggedRun(cell, { deps, isOfSetup });
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "logs", role: "executor", fits: (cell) => logged(cell) !== undefined },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const run = logged(cell);
    if (run === undefined) return refuse("failed", isOfSetup ? replies.noSetup(cell) : replies.noLog(cell));
    const agent = logOwner(run, isOfSetup);
    return {
      kind: "later",
      effects: () => {
        deps.queue.put({
          kind: "tail",
          key: crypto.randomUUID(),
          lane: `tail:${cell.id}`,
          payload: {
            secrets: secretsGiven(deps.registry.runs(cell.id), deps.config),
            cellId: cell.id,
            run: run.n,
            agent,
            lines,
            raw,
            asker: origin.asker,
          },
        });
      },
    };
  },
};

/**
 * The last run that began, or whose cell was being set up at least; of its setup only where that is asked
 * for. None where the log is gone with the cell.
 */
export function loggedRun(
  cell: Cell,
  { deps, isOfSetup }: { readonly deps: Pick<Deps, "registry">; readonly isOfSetup: boolean },
): Run | undefined {
  if (cell.state === "destroyed") return undefined;
  const runs = deps.registry.runs(cell.id);
  return runs.findLast((run) => run.setup !== null || (!isOfSetup && run.startedAt !== null));
}

/** Whose log of a run is shown: its agent's, or its setup's, which is all there is where it did not begin. */
export function logOwner(run: Run, isOfSetup: boolean): string {
  return isOfSetup || run.startedAt === null ? SETUP_LOG : run.agent;
}
