import type { Cell } from "./cell.ts";

/** What may stand in a cell's way: each cause by itself, none of them read from another's words. */
export type Causes = Pick<
  Cell,
  | "approval"
  | "notStarted"
  | "stuck"
  | "pushRefused"
  | "notClosed"
  | "directoryTrouble"
  | "repositoryTrouble"
  | "runnerTrouble"
  | "divertedFrom"
  | "publishedBranch"
  | "logCut"
>;

/**
 * No cause that a step which went well, or was asked for anew, leaves standing. What its directory is like
 * only the pit can tell.
 */
export const NOTHING_IN_THE_WAY = {
  notStarted: null,
  stuck: null,
  notClosed: null,
  divertedFrom: null,
  logCut: null,
} as const satisfies Partial<Cell>;

/**
 * Why a cell is not going on, or not as it should, in words for people; null where nothing is wrong. Pure. No
 * behaviour depends on these words.
 */
export function reasonOf(causes: Causes): string | null {
  const { approval, notStarted, stuck, pushRefused, notClosed, directoryTrouble, logCut } = causes;
  const { divertedFrom, publishedBranch, repositoryTrouble, runnerTrouble } = causes;
  const said = [
    approval,
    notStarted,
    stuck === null
      ? null
      : `${stuck.why} (${stuck.isOver ? "gave up retrying: a person must look" : "tried again by itself"})`,
    pushRefused === null ? null : `not published: ${pushRefused}`,
    notClosed,
    repositoryTrouble,
    runnerTrouble,
    directoryTrouble === null ? null : `its directory is ${directoryTrouble}`,
    divertedFrom === null
      ? null
      : `somebody pushed to ${divertedFrom} meanwhile: this went to ${publishedBranch}`,
    logCut === null
      ? null
      : `the log of run ${logCut.run} grew over its limit: ${logCut.bytes} bytes were cut out of its middle, the run goes on`,
  ].filter((one) => one !== null);
  return said.length === 0 ? null : said.join("; ");
}
