import { LazarusError } from "../../errors.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { DRAFT } from "../words/draft-text.ts";
import { giveBackSay } from "./post-draft.ts";

/** A forge that still looks at what was pushed asks for a moment: for about two minutes it gets one. */
const MOST_TRIES = 7;

/**
 * Handler of merges that a director asked for with `close --merge`: at the published commit, by the forge's
 * own rules, which are never forced. Whether it is merged already is asked before each try.
 */
export function createMergeHandler(deps: PostDeps): Pick<Handlers, "merge"> {
  return { merge: (job, context) => merge(job, context, deps) };
}

async function merge(job: Job<"merge">, context: JobContext, deps: PostDeps): Promise<Finish | undefined> {
  const { cellId, tip } = job.payload;
  const cell = deps.registry.cell(cellId);
  if (cell?.state !== "closing" || !cell.closing?.isToMerge || cell.pullRequest === null) return undefined;
  const name = await confirm(cell.repository, deps);
  const number = cell.pullRequest;
  const no =
    (why: string): Finish =>
    () =>
      deps.reports.notMerged(cellId, why);
  const pull = await deps.forge.pullRequest(name, number);
  if (pull?.isMerged) return () => deps.reports.merged(cellId);
  if (pull === null || !pull.isOpen) return no(`#${number} is closed`);
  if (pull.head.commit !== tip) return no(`somebody pushed to #${number} meanwhile: look at it again`);
  const isDraft = pull.title.startsWith(DRAFT);
  if (isDraft) {
    context.note({ undrafted: true });
    await giveBackSay(name, number, deps);
    await deps.forge.editPullRequest(name, number, { title: pull.title.slice(DRAFT.length) });
  }
  const repository = await deps.forge.repository(name);
  const answer = await deps.forge.merge(name, number, {
    commit: tip,
    style: repository?.mergeStyle ?? "",
    removesBranch: repository?.removesMerged ?? false,
  });
  if (answer.kind === "merged") return () => deps.reports.merged(cellId);
  if (answer.isLater && job.attempt < MOST_TRIES)
    throw new LazarusError("forge-unreachable", answer.why, { retryable: true });
  // It is a draft again: until then nothing but that kept others from merging it.
  const title = isDraft ? pull.title : `${DRAFT}${pull.title}`;
  if (isDraft || job.notes.undrafted === true) await deps.forge.editPullRequest(name, number, { title });
  return no(answer.why);
}
