import { toIso } from "../../clock.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import type { CellSpec, MissionUpdate, RunPrompt, Seams } from "../../protocol/shapes.ts";
import { type BudgetConfig, budgetLeft } from "../budget.ts";
import { type Cell, isVisit, type Member, type Run, targetOf } from "../cell.ts";
import { isLost } from "../lost.ts";
import { pushText } from "../prompt.ts";
import type { Registry } from "../registry/registry.ts";
import type { Uids } from "../registry/uids.ts";
import { pointsOf } from "./give-items.ts";

/** What a runner needs to know to make a cell. */
export function specOf(
  cell: Cell,
  { registry, uids }: { registry: Pick<Registry, "members">; uids: Pick<Uids, "of"> },
): CellSpec {
  return {
    id: cell.id,
    repository: cell.repository,
    user: uids.of(cell.id),
    target: targetOf(cell),
    title: cell.title,
    issueUrl: cell.issueUrl,
    requestedBy: cell.requester.login,
    createdAt: cell.createdAt,
    members: membersAsJson(registry.members(cell.id)),
    branch: cell.branch,
    baseRef: cell.baseRef,
    baseCommit: cell.baseCommit,
    startsAt: isLost(cell) ? publishedAt(cell) : null,
    rules: cell.rules,
    brief: cell.brief,
    briefSha256: cell.briefSha256,
  };
}

function publishedAt({ publishedTip, publishedBranch, branch }: Cell): CellSpec["startsAt"] {
  if (publishedTip === null) return null;
  return { ref: `refs/heads/${publishedBranch ?? branch}`, commit: publishedTip };
}

/**
 * What a run is asked, as its row says. @throws LazarusError `internal` where it has none: no run starts
 * without.
 */
function promptOf(run: Run, registry: Pick<Registry, "prompts" | "runs">): RunPrompt {
  const { kind, text } = registry.prompts.of(run);
  const worked = (one: Run) => one.startedAt !== null && (!isVisit(one) || one.agent === run.agent);
  const begun = registry.runs(run.cellId).filter((one) => one.n < run.n && worked(one));
  const earlier = [...new Set(begun.map((one) => one.agent))];
  if (kind === "brief") return { kind, text: "", earlier };
  return { kind, text: run.people === null ? text : `${pushText(run.people)}\n\n${text}`, earlier };
}

/** What a run starts with, besides its cell. */
export function givenTo(
  run: Run,
  cell: Cell,
  deps: { readonly registry: Registry; readonly config: BudgetConfig },
): Pick<JobPayload<"start">, "prompt" | "setUpWith" | "isAsked" | "budgetUsd"> {
  const { registry } = deps;
  const isAsked = pointsOf(run, registry).length > 0;
  const budgetUsd = budgetLeft(run, deps);
  return { prompt: promptOf(run, registry), setUpWith: cell.setUpWith, isAsked, budgetUsd };
}

/** Where what people pushed lies between what the agents of a cell made. */
export function seamsOf(runs: readonly Pick<Run, "people">[]): Seams {
  return runs.flatMap(({ people }) =>
    people === null ? [] : [{ from: people.from, to: people.tip, isTaken: people.isTaken }],
  );
}

/** Members as JSON has them: times in RFC 3339. */
export function membersAsJson(members: readonly Member[]): CellSpec["members"] {
  return members.map(({ name, kind, role, until }) => {
    const ends = until === undefined ? {} : { until: until === null ? null : toIso(until) };
    return { name, kind, role, ...ends };
  });
}

/** How a cell stands, as `meta/mission.json` tells it. */
export function missionOf(cell: Cell, registry: Pick<Registry, "members" | "history">): MissionUpdate {
  return {
    status: cell.state,
    target: targetOf(cell),
    issue_url: cell.issueUrl,
    members: membersAsJson(registry.members(cell.id)),
    history: registry
      .history(cell.id)
      .map((row) => ({ at: toIso(row.at), from: row.from, to: row.to, who: row.who, why: row.why })),
  };
}
