import type { NewJob, Queue } from "../../queue/queue.ts";
import type { Proposal } from "../registry/proposals.ts";
import type { Registry } from "../registry/registry.ts";

/** How many proposals are looked at in one go. */
const MOST_LOOKS = 10;

/** Posts what is in the way of a proposal, or says it anew; in the lane of the card that it becomes. */
export function proposalJob({ repository, number, cellId }: Proposal): NewJob<"proposal"> {
  return {
    kind: "proposal",
    key: crypto.randomUUID(),
    lane: `card:${cellId}`,
    payload: { repository: { ...repository }, number },
    merge: { tag: `proposal:${repository.id}:${number}`, fold: (waiting) => waiting },
    maxAttempts: 300,
  };
}

/** A look at a thread that no delivery told of; one that waits serves as well. */
function lookJob({ repository, number }: Pick<Proposal, "repository" | "number">): NewJob<"thread"> {
  const lane = `thread:${repository.id}#${number}`;
  return {
    kind: "thread",
    key: crypto.randomUUID(),
    lane,
    payload: { repository: { ...repository }, number, delivered: {} },
    merge: { tag: `${lane} ${repository.fullName.toLowerCase()}`, fold: (waiting) => waiting },
    maxAttempts: 300,
  };
}

interface LookDeps {
  readonly registry: Pick<Registry, "proposals">;
  readonly queue: Pick<Queue, "put">;
}

/** Once a cell's proposal is decided: has its author's next one looked at, where one waits for that. */
export function planNext({ registry, queue }: LookDeps, cellId: string): void {
  const decided = registry.proposals.ofCell(cellId);
  const next = decided === null ? null : registry.proposals.firstQueued(decided.author.id);
  if (next !== null) queue.put(lookJob(next));
}

/** Looks at proposals that nobody has decided about: that one was deleted no server tells, but newer ones. */
export function lookAtProposals(deps: LookDeps, now: number): void {
  for (const proposal of deps.registry.proposals.undecided(MOST_LOOKS)) {
    deps.registry.proposals.lookedAt(proposal, now);
    deps.queue.put(lookJob(proposal));
  }
}
