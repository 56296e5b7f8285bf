import { type Cell, isBeingSetUp, type Run } from "../cells/cell.ts";
import type { Registry } from "../cells/registry/registry.ts";
import { decide, isRetryInLine } from "../cells/steps/decide.ts";
import { systemClock, toIso } from "../clock.ts";
import type { Command } from "../commands/command.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Queue } from "../queue/queue.ts";
import { EXIT } from "./exit-codes.ts";
import { forgeIsAway, jobsOf, listed, type Patience, sleepOr, waitsForForge } from "./waiting.ts";

export interface RestDeps {
  readonly command: Pick<Command, "verb">;
  readonly parts: { readonly registry: Registry; readonly queue: Pick<Queue, "list"> };
  /** The queue of this process, where no server is at work. */
  readonly own: Pick<Queue, "idle"> | null;
  readonly options: {
    readonly wait: boolean;
    progress(line: string): void;
    readonly signal: AbortSignal;
  };
  readonly patience: Patience;
}

/** A forge that is away for so long is not waited for. */
const AWAY_MS = 5_000;
/** What only an agent says may come to its card later than this. */
const SOON_MS = 6_000;

/**
 * Follows the cell until nothing more happens to it by itself, or what is left waits for a forge that is
 * away.
 */
export async function comeToRest(answer: StoredAnswer, at: RestDeps): Promise<StoredAnswer> {
  const { own } = at;
  const id =
    typeof answer.data === "object" && answer.data !== null && "id" in answer.data
      ? String(answer.data.id)
      : null;
  if (id === null) {
    await own?.idle();
    return answer;
  }
  const { registry } = at.parts;
  let said = "";
  let awaySince: number | null = null;
  at.patience.begin();
  for (;;) {
    const cell = registry.cell(id);
    if (cell === null) return answer;
    const line = `${cell.state}${cell.reason === null ? "" : `: ${cell.reason}`}${goesOn(registry.lastRun(id))}`;
    if (line !== said) at.options.progress(line);
    said = line;
    const waits = waitsForForge(jobsOf(id, at.parts.queue));
    if (own === null && !at.options.wait && hasBegun(at.command.verb, id, registry)) return answer;
    // An agent that runs is followed on: what it does needs no forge.
    const isBusy = isRunning(id, registry) || isAtWork(id, at.parts.queue);
    awaySince = waits.length === 0 || isBusy ? null : (awaySince ?? systemClock.monotonic());
    if (awaySince !== null && systemClock.monotonic() - awaySince >= AWAY_MS)
      return leftWaiting(answer, waits, own === null);
    const isResting = isAtRest(id, registry) && !isPlanning(id, at.parts.queue);
    if (waits.length === 0 && isResting && (own === null || !isCardComing(id, at.parts.queue))) {
      if (own === null) return gaveUp(answer, cell);
      await own.idle();
      // What was at work just now may have put off the card for a moment.
      const isOver = isAtRest(id, registry) && !isCardComing(id, at.parts.queue);
      if (isOver && waitsForForge(jobsOf(id, at.parts.queue)).length === 0)
        return gaveUp(answer, registry.cell(id));
    }
    at.patience.wait(() => `${line}${waits.length === 0 ? "" : `; ${listed(waits)}: waiting for the forge`}`);
    await sleepOr(at.options.signal);
  }
}

/** What was typed is done, but what follows from it cannot be done, and is not tried again by itself. */
function gaveUp(answer: StoredAnswer, cell: Pick<Cell, "stuck"> | null): StoredAnswer {
  if (!cell?.stuck?.isOver) return answer;
  return { ...answer, exitCode: EXIT.failed, text: `${answer.text}\nBut ${cell.stuck.why}.` };
}

/** Whether something is done for the cell just now that needs no forge: a look at what a run left. */
function isAtWork(cellId: string, queue: Pick<Queue, "list">): boolean {
  return jobsOf(cellId, queue).some((row) => row.state === "running" && !row.inOutage);
}

/** Whether it is being found out just now which checks there are. */
function isPlanning(cellId: string, queue: Pick<Queue, "list">): boolean {
  return jobsOf(cellId, queue).some((row) => row.kind === "plan-checks" || row.kind === "checks-planned");
}

/** Whether its card is to be edited in a moment: nobody else would do it once this process is gone. */
function isCardComing(cellId: string, queue: Pick<Queue, "list">): boolean {
  const until = systemClock.now() + SOON_MS;
  return jobsOf(cellId, queue).some(
    (row) => row.kind === "card" && row.state === "waiting" && !row.inOutage && row.notBefore <= until,
  );
}

function isRunning(cellId: string, registry: Registry): boolean {
  const run = registry.lastRun(cellId);
  return run?.state === "running" || isBeingSetUp(run) || registry.checks.atWork(cellId) !== null;
}

/** Done as far as this machine goes: the rest is in the job log. */
function leftWaiting(answer: StoredAnswer, waits: readonly string[], hasServer: boolean): StoredAnswer {
  const data = typeof answer.data === "object" && answer.data !== null ? answer.data : {};
  return {
    exitCode: EXIT.unreachable,
    text: `${answer.text}\n${forgeIsAway(waits, hasServer)}`,
    data: { ...data, waits_for_forge: waits },
  };
}

/** When it goes on by itself: whoever waits for it may wait for long. */
function goesOn(run: Run | null): string {
  if (run === null || !isRetryInLine(run) || run.notBefore === null) return "";
  return `; run ${run.n} starts by itself at ${toIso(run.notBefore)}`;
}

/**
 * With a server, verbs that begin a run return when it has started, or waits for its turn or a place; other
 * verbs when they are done.
 */
function hasBegun(verb: string, cellId: string, registry: Registry): boolean {
  if (verb !== "summon" && verb !== "revive" && verb !== "tell") return false;
  const run = registry.lastRun(cellId);
  return run === null || run.state !== "admitted" || isBeingSetUp(run);
}

/** Nothing is in progress and nothing follows by itself. */
function isAtRest(cellId: string, registry: Registry): boolean {
  const cell = registry.cell(cellId);
  if (cell === null) return true;
  const run = registry.lastRun(cellId);
  if (run?.state === "admitted" || run?.state === "running") return false;
  if (run?.state === "waiting") return cell.waitsForApproval;
  if (cell.stuck?.isOver) return true;
  if (cell.closing?.thenDestroy) return false;
  if (registry.checks.atWork(cellId) !== null) return false;
  return decide(cell, registry.lastUnwithdrawnRun(cellId)).kind === "nothing";
}
