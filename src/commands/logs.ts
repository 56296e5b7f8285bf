import type { Cell } from "../cells/cell.ts";
import { secretsGiven } from "../cells/given-secrets.ts";
import { checkLogOwner, SETUP_LOG } from "../cells/names.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";
import type { Sentence } from "./words/sentence.ts";

const DEFAULT_LINES = 50;
const MOST_LINES = 1000;

export const logs: Verb = {
  name: "logs",
  summary: "shows the end of the current or last run's log in words, secrets hidden",
  usage: "logs [CELL] [--tail 50] [--raw] [--setup] [--check NAME]",
  examples: ["logs", "logs 4f1c0b7e --tail 200", "logs --setup"],
  who: "executor",
  flags: {
    "--tail": { takes: "value", help: "how many lines, 50 unless said, at most 1000" },
    "--raw": { takes: "switch", help: "the file as the agent wrote it, and not what it says in words" },
    "--check": { takes: "value", help: "of that check of what was pushed last" },
    "--setup": { takes: "switch", help: "of what set the cell up, also where a run followed" },
  },
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "queue" | "config">) {
    const typed = command.flags["--tail"];
    const raw = command.flags["--raw"] === true;
    const lines = typed === undefined ? DEFAULT_LINES : Number(typed);
    if (!Number.isInteger(lines) || lines < 1 || lines > MOST_LINES)
      return refuse("usage", replies.badTail(String(typed)));
    const check = command.flags["--check"];
    const of = typeof check === "string" ? { check } : command.flags["--setup"] === true ? "setup" : "agent";
    const logged = (cell: Cell) => loggedIn(cell, { deps, of });
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "logs", role: "executor", fits: (cell) => logged(cell) !== null },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const log = logged(cell);
    if (log === null) return refuse("failed", noLogOf(cell, of));
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
            run: log.n,
            agent: log.owner,
            lines,
            raw,
            asker: origin.asker,
          },
        });
      },
    };
  },
};

/** Whose log is meant: of the run, of what set its cell up, or of a check by its name. */
export type LogOf = "agent" | "setup" | { readonly check: string };

/** A log of a cell: `logs/<owner>-<n>.log`. */
export interface Logged {
  readonly owner: string;
  readonly n: number;
}

/**
 * Of the last run that began, or whose cell was being set up at least, its agent's log, or its setup's where
 * that is all there is or is asked for; or of the last time that a check ran. Null where there is none, or it
 * is gone with the cell.
 */
export function loggedIn(
  cell: Cell,
  { deps, of }: { readonly deps: Pick<Deps, "registry">; readonly of: LogOf },
): Logged | null {
  if (cell.state === "destroyed") return null;
  if (typeof of === "object") {
    const ran = deps.registry.checks.of(cell.id).filter((one) => one.startedAt !== null);
    const last = ran.findLast((one) => one.name === of.check && one.side === "tip");
    return last === undefined ? null : { owner: checkLogOwner(last.name), n: last.n };
  }
  const isOfSetup = of === "setup";
  const runs = deps.registry.runs(cell.id);
  const run = runs.findLast((one) => one.setup !== null || (!isOfSetup && one.startedAt !== null));
  if (run === undefined) return null;
  return { owner: isOfSetup || run.startedAt === null ? SETUP_LOG : run.agent, n: run.n };
}

/** What is answered where there is none. */
export function noLogOf(cell: Cell, of: LogOf): Sentence {
  if (of === "agent") return replies.noLog(cell);
  return of === "setup" ? replies.noSetup(cell) : replies.noCheck(cell, of.check);
}
