import { type Cell, type Run, shortId } from "../../cells/cell.ts";
import { code, join, type Markdown, marker, md, quote, raw, table, title } from "../../gitea/markdown.ts";
import { aboutShown } from "../../protocol/shown-secret.ts";
import { endOfRun } from "./run-words.ts";
import { usage } from "./said-words.ts";

const MOST_REPORT_CHARS = 20_000;

/** The first line of a draft's text, by which it is known to be ours. */
export function draftMarker(cellId: string): Markdown {
  return marker(`draft:${cellId}`);
}

/** What makes it a draft at the start of its title: that is how Gitea knows them. */
export const DRAFT = "WIP: ";

export function draftTitle(cell: Cell): string {
  return `${DRAFT}${title(cell.title, 180)} (#${cell.number})`;
}

/**
 * What the draft says: what was asked, what each of `others` of its team reported before, the agent's report
 * as its own words, the commits, what its `checks` came to, and how to go on.
 */
export function draftBody(
  cell: Cell,
  run: Run | null,
  {
    others = [],
    checks = [],
  }: { readonly others?: readonly Run[]; readonly checks?: readonly Markdown[] } = {},
): Markdown {
  const harvest = cell.harvest;
  const isElsewhere = (cell.pullRequestRepository ?? cell.repository.fullName) !== cell.repository.fullName;
  const parts = [
    md`For ${raw(isElsewhere ? `${cell.repository.fullName}#${cell.number}` : `#${cell.number}`)}, asked by ${cell.requester.login}:`,
    quote(cell.title, 300),
  ];
  if (run?.exitClass === "question" && harvest?.question)
    parts.push(
      md`### What ${run.agent} asks`,
      quote(harvest.question, 4_000),
      md`Answer here with ${code(`/lazarus tell ${shortId(cell.id)} your answer`)}.`,
    );
  for (const { agent, left } of others)
    if (left?.report != null)
      parts.push(
        md`### What ${agent} reports`,
        md`These are the agent's words; nobody has checked them.`,
        quote(left.report, MOST_REPORT_CHARS),
      );
  if (harvest?.report) {
    parts.push(
      md`### What ${run?.agent ?? cell.agent} reports`,
      md`These are the agent's words; nobody has checked them.`,
      quote(harvest.report, MOST_REPORT_CHARS),
    );
  }
  const words = harvest?.said?.words ?? "";
  if (!harvest?.report && words !== "") {
    parts.push(
      md`### What ${run?.agent ?? cell.agent} says`,
      md`These are the agent's last words; nobody has checked them.`,
      quote(words, MOST_REPORT_CHARS),
    );
  }
  if (cell.fork !== null)
    parts.push(
      md`The branch of ${raw(`#${cell.number}`)} lies in a fork, where nothing is pushed: this holds its commits as well, and is to be merged into the same branch.`,
    );
  if (harvest !== null) parts.push(md`### Commits`, commits(harvest.commits, harvest.commitCount));
  if (harvest?.hadUncommitted) parts.push(md`The last commit holds what was left uncommitted.`);
  if (harvest?.unfinished)
    parts.push(
      md`The tree was left in the middle of a ${harvest.unfinished}: the last commit holds the files as they lay.`,
    );
  if (harvest?.salvaged) parts.push(md`${harvest.salvaged}.`);
  if (harvest !== null && harvest.closing.length > 0) {
    parts.push(
      md`These commit messages close issues when they reach the default branch, or at once where the repository says so: ${code(harvest.closing.join(", "))}`,
    );
  }
  const letGo =
    cell.releasedBy !== null && cell.releasedTip === harvest?.tip
      ? [
          ...(harvest?.heldBack ?? []),
          ...(harvest?.protectedPaths ?? []),
          ...(harvest?.shownSecrets ?? []).map(aboutShown),
        ]
      : [];
  if (letGo.length > 0)
    parts.push(md`Held back, then released by ${cell.releasedBy ?? ""}: ${letGo.join("; ")}.`);
  parts.push(...checks);
  const used = usage(harvest?.said ?? null);
  const how = `${run === null ? "" : `, ${endOfRun(run)}`}${used === "" ? "" : `, ${used}`}`;
  parts.push(
    md`### How it was made`,
    md`By ${run?.agent ?? cell.agent}${how}, from ${code(cell.baseName)} at ${code(cell.baseCommit.slice(0, 12))}, in cell ${code(shortId(cell.id))}. Brief ${code(cell.briefSha256.slice(0, 12))}. Submodules and LFS files were not fetched.`,
    md`${code(`/lazarus revive ${shortId(cell.id)}`)} lets the agent go on, ${code(`/lazarus tell ${shortId(cell.id)} …`)} says something to it, ${code(`/lazarus close ${shortId(cell.id)}`)} closes the cell (directors).`,
  );
  return md`${draftMarker(cell.id)}\n${join(parts, "\n\n")}`;
}

function commits(
  list: readonly { hash: string; subject: string; author: string }[],
  count: number,
): Markdown {
  const rows = list.map((one) => [code(one.hash.slice(0, 10)), one.subject, one.author]);
  const all = table(["commit", "what", "by"], rows);
  return count > list.length ? md`${all}\n\nand ${count - list.length} older ones.` : all;
}
