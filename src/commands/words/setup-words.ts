import { type Cell, isBeingSetUp, isSetupDone, type Run, type Setup, shortId } from "../../cells/cell.ts";
import { howSetupEnded, shortCommand } from "../../cells/setup.ts";
import { code, details, fenced, join, type Markdown, md, raw } from "../../gitea/markdown.ts";
import { span } from "./run-words.ts";

const MOST_TAIL_BYTES = 4_000;

/** The first words of a card while the cell is being set up; null where it is not. */
export function settingUp(cell: Cell, run: Run | null): Markdown | null {
  if (run?.setup == null || !isBeingSetUp(run)) return null;
  return md`**${run.agent}'s cell is being set up** on ${raw(`#${cell.number}`)}: ${code(shortCommand(run.setup))}`;
}

/** The same once its run came to nothing for it: the setup failed, or was stopped. */
export function notSetUp(run: Run | null): Markdown | null {
  const end = failedSetup(run)?.end;
  if (run === null || end == null) return null;
  return end.code === null && end.signal === null && run.stopped === end.stopped
    ? md`**${run.agent} did not start**: ${run.stopped ?? ""} while its cell was being set up`
    : md`**${run.agent}'s cell could not be set up**: ${endOfSetup(run)}`;
}

/** `exit 1 after 12 s`, of a setup that failed. */
export function endOfSetup({ setup }: Pick<Run, "setup">): string {
  if (setup?.end == null) return "";
  return `${howSetupEnded(setup.end)} after ${span(setup.end.endedAt - setup.startedAt)}`;
}

/** Of a run that did not begin, since its cell was not set up. */
export function failedSetup(run: Run | null): Setup | null {
  const setup = run?.setup ?? null;
  if (run?.state !== "ended" || run.startedAt !== null || setup?.end == null) return null;
  return isSetupDone(setup.end) ? null : setup;
}

/**
 * What there is to say of a run's setup below the headline: the end of its output where it failed, what it
 * left where it did not.
 */
export function aboutSetup(cell: Pick<Cell, "id">, run: Run | null): Markdown[] {
  const setup = run?.setup ?? null;
  if (setup?.end == null) return [];
  const { refusedHosts, leftovers, changed, untracked, tail } = setup.end;
  const found: Markdown[] = [];
  if (failedSetup(run) !== null) {
    const where = setup.source === null ? "" : `, of ${setup.source}`;
    found.push(
      md`Its setup is ${code(shortCommand(setup))}${where}. ${code(`/lazarus revive ${shortId(cell.id)}`)} tries it again.`,
    );
  }
  if (refusedHosts.length > 0)
    found.push(md`Its setup asked for hosts it may not reach: ${refusedHosts.join(", ")}.`);
  if (leftovers.length > 0)
    found.push(md`These processes of its setup could not be ended: ${leftovers.join("; ")}.`);
  if (changed.length > 0)
    found.push(
      md`Its setup changed files that git tracks, and they are part of the work unless ${run?.agent ?? "the agent"} puts them back: ${names(changed)}.`,
    );
  if (untracked.length > 0)
    found.push(md`What its setup left and git does not know is kept out of the work: ${names(untracked)}.`);
  if (failedSetup(run) !== null && tail !== "")
    found.push(details("The end of the setup's output", fenced(tail, MOST_TAIL_BYTES, "end")));
  return found;
}

function names(all: readonly string[]): Markdown {
  return join(
    all.map((name) => code(name)),
    ", ",
  );
}
