import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Cell, Member, Requester } from "./cell.ts";
import type { Lifecycle, LifecycleDeps } from "./lifecycle.ts";
import { movedOn } from "./must-be.ts";
import { briefPrompt } from "./prompt.ts";
import type { NewCell } from "./registry/cell-row.ts";
import type { Mistake, Proposal, Wish } from "./registry/proposals.ts";
import { endUnbegun } from "./steps/end-unbegun.ts";
import { planNext, proposalJob } from "./steps/proposal-jobs.ts";

/** What a look at a proposal found. `readSha256`: `issueHash` of what was read. */
export type Looked =
  | { readonly kind: "faulty"; readonly readSha256: string; readonly mistakes: readonly Mistake[] }
  | {
      readonly kind: "planned";
      readonly readSha256: string;
      readonly cell: NewCell;
      /** In the order of their turns. */
      readonly agents: readonly string[];
      readonly wish: Wish;
    };

/** An issue that was filed with the form. */
export interface FiledAt {
  readonly repository: RepositoryRef;
  readonly number: number;
  readonly author: { readonly id: number; readonly login: string };
  readonly cellId: string;
}

/** What becomes of proposals: each is one transaction of rows and jobs. All methods are synchronous. */
export class Proposing {
  readonly #deps: LifecycleDeps & { readonly lifecycle: Lifecycle };

  constructor(deps: LifecycleDeps & { readonly lifecycle: Lifecycle }) {
    this.#deps = deps;
  }

  /**
   * Takes what a look found: its plan is a cell that waits for approval. What was approved and has not
   * started is asked about again where it reads otherwise now. `isAdmitting`: its run has just got its place,
   * and nothing was begun for it.
   */
  take(filed: FiledAt, looked: Looked, { isAdmitting = false } = {}): void {
    const { registry, clock } = this.#deps;
    registry.transaction(() => {
      if (registry.proposals.of(filed.repository.id, filed.number) === null)
        registry.proposals.add({ ...filed, createdAt: clock.now() });
      const proposal = this.#mustBe(filed);
      const cell = registry.cell(proposal.cellId);
      if (cell !== null && !this.#isOpen(cell, isAdmitting)) return;
      if (looked.kind === "faulty") this.#fault(proposal, cell, looked);
      else this.#plan(proposal, cell, looked);
    });
  }

  /** Begins anew with one that was closed, and whose issue was reopened: it gets a card of its own. */
  reopen(filed: FiledAt): void {
    const { registry } = this.#deps;
    registry.transaction(() => {
      const proposal = this.#mustBe(filed);
      const hadCell = registry.cell(proposal.cellId) !== null;
      const none = { readSha256: "", shownSha256: null, shownAt: null, editedAt: null, approver: null };
      const fresh = hadCell ? { cellId: filed.cellId, commentId: null } : {};
      registry.proposals.change(proposal, { state: "faulty", ...none, ...fresh });
    });
  }

  /**
   * Lets a plan start, as a director saw it: `sha256` is the brief's. `brief`: the same with comments, which
   * takes its place. Its time counts from now.
   * @throws LazarusError `internal`, retryable, where the plan is another one by now.
   */
  approve(
    cellId: string,
    by: Requester,
    what: {
      readonly sha256: string;
      readonly brief?: { text: string; sha256: string };
      readonly why: string;
    },
  ): void {
    const { registry, lifecycle, clock } = this.#deps;
    registry.transaction(() => {
      const cell = registry.mustCell(cellId);
      const proposal = registry.proposals.ofCell(cellId);
      const run = registry.lastRun(cellId);
      const isIt = cell.state === "proposed" && cell.waitsForApproval && cell.briefSha256 === what.sha256;
      if (!isIt || proposal?.state !== "planned" || proposal.wish === null || run?.state !== "waiting")
        throw movedOn(cellId);
      const brief = what.brief ?? { text: cell.brief, sha256: cell.briefSha256 };
      registry.proposals.rebrief(cellId, brief);
      registry.update(cellId, { expiresAt: clock.now() + proposal.wish.ttlMs, ttlWarnedFor: null });
      // Whoever proposed it may have no right to have anything run.
      registry.proposals.reassign(cellId, run.n, { agent: run.agent, requester: by });
      registry.proposals.change(proposal, { approver: by });
      registry.remember(cellId, {
        ...{ at: clock.now(), from: "proposed", to: "proposed" },
        ...{ who: by.login, why: what.why },
      });
      lifecycle.approve(registry.mustCell(cellId));
      planNext(this.#deps, cellId);
    });
  }

  /** How many comments stand below it, and whether it reads as what was approved. */
  note(filed: Pick<FiledAt, "repository" | "number">, seen: { comments?: number; isEdited?: boolean }): void {
    const { registry, steps, clock } = this.#deps;
    registry.transaction(() => {
      const proposal = this.#mustBe(filed);
      const editedAt = seen.isEdited === undefined ? proposal.editedAt : seen.isEdited ? clock.now() : null;
      registry.proposals.change(proposal, { comments: seen.comments ?? proposal.comments, editedAt });
      if (registry.cell(proposal.cellId) !== null) steps.card(proposal.cellId);
    });
  }

  /** Takes one back that nobody has decided about: its author closed the issue, or it is gone. */
  close(
    filed: Pick<FiledAt, "repository" | "number">,
    step: { readonly who: string; readonly why: string },
    { isAdmitting = false } = {},
  ): void {
    const { registry, lifecycle } = this.#deps;
    registry.transaction(() => {
      const proposal = registry.proposals.of(filed.repository.id, filed.number);
      if (proposal === null || proposal.state === "closed") return;
      const cell = registry.cell(proposal.cellId);
      if (cell !== null && !this.#isOpen(cell, isAdmitting)) return;
      registry.proposals.change(proposal, { state: "closed" });
      const run = registry.lastRun(proposal.cellId);
      if (cell === null) this.#comment(proposal);
      else if (run !== null) lifecycle.withdraw(cell, run, { ...step, outcome: "discarded" });
    });
  }

  /** Nothing of it has begun. */
  #isOpen(cell: Cell, isAdmitting = false): boolean {
    const run = this.#deps.registry.lastRun(cell.id);
    return (
      cell.state === "proposed" && (run?.state === "waiting" || (isAdmitting && run?.state === "admitted"))
    );
  }

  #fault(
    proposal: Proposal,
    cell: Cell | null,
    { readSha256, mistakes }: Extract<Looked, { kind: "faulty" }>,
  ) {
    const { registry, steps } = this.#deps;
    const isSaid =
      proposal.state === "faulty" &&
      proposal.readSha256 === readSha256 &&
      JSON.stringify(proposal.mistakes) === JSON.stringify(mistakes);
    if (isSaid) return;
    registry.proposals.change(proposal, { state: "faulty", readSha256, mistakes });
    if (cell === null) return this.#comment(proposal);
    this.#takeBack(proposal, cell);
    steps.card(cell.id);
  }

  #plan(proposal: Proposal, cell: Cell | null, found: Extract<Looked, { kind: "planned" }>): void {
    const { registry, lifecycle, steps, config } = this.#deps;
    const { readSha256, wish, cell: plan, agents } = found;
    const waiting = registry.proposals.waitingOf(proposal.author.id, proposal.cellId);
    if (cell === null && waiting >= config.limits.proposals) {
      registry.proposals.change(proposal, { state: "queued", readSha256, mistakes: [] });
      if (proposal.state !== "queued") this.#comment(proposal);
      return;
    }
    const members = agents.map((name): Member => ({ name, kind: "bot", role: "executor" }));
    registry.proposals.change(proposal, { state: "planned", readSha256, mistakes: [], wish });
    const { login } = proposal.author;
    if (cell === null) {
      lifecycle.create({ ...plan, id: proposal.cellId }, members, `proposed by ${login}`, agents.slice(1));
      // The comment that told what was in the way becomes the card.
      registry.update(proposal.cellId, { cardId: proposal.commentId });
      return;
    }
    const isSame = cell.briefSha256 === plan.briefSha256 && cell.title === plan.title;
    if (isSame) {
      steps.card(cell.id);
      return;
    }
    const n = this.#takeBack(proposal, cell);
    registry.proposals.replan(cell.id, columnsOf(plan), members);
    registry.update(cell.id, { ttlWarnedFor: null });
    registry.proposals.reassign(cell.id, n, { agent: plan.agent, requester: plan.requester });
    registry.remember(cell.id, {
      ...{ at: this.#deps.clock.now(), from: "proposed", to: "proposed" },
      ...{ who: login, why: "edited, planned anew" },
    });
    steps.card(cell.id);
  }

  /** Nothing of it may start any more as it is. Answers the run that waits for the approval. */
  #takeBack(proposal: Proposal, cell: Cell): number {
    const { registry, steps } = this.#deps;
    registry.proposals.change(proposal, { approver: null, editedAt: null });
    // Before anybody gets the place that it had.
    const approval = `it was proposed by ${proposal.author.login}`;
    registry.update(cell.id, { waitsForApproval: true, approval });
    const run = registry.mustRun(cell.id, registry.lastRun(cell.id)?.n ?? 0);
    if (run.state === "waiting") return run.n;
    endUnbegun(this.#deps, run, { stopped: "the proposal was edited" });
    const { agent, requester, role } = run;
    const prompt = briefPrompt(requester);
    const n = registry.addRun({
      ...{ cellId: cell.id, agent, requester, role, prompt },
      ...{ state: "waiting", turnKind: "first" },
    });
    steps.admitWaiting();
    return n;
  }

  #comment(proposal: Proposal): void {
    this.#deps.queue.put(proposalJob(proposal));
  }

  #mustBe({ repository, number }: Pick<FiledAt, "repository" | "number">): Proposal {
    const proposal = this.#deps.registry.proposals.of(repository.id, number);
    if (proposal === null) throw movedOn(`of ${repository.fullName}#${number}`);
    return proposal;
  }
}

function columnsOf(plan: NewCell) {
  const { title, agent, approval, baseName, baseRef, baseCommit, mergeInto, brief, briefSha256, expiresAt } =
    plan;
  return {
    ...{ title, agent, approval, baseName, baseRef, baseCommit, mergeInto, brief, briefSha256, expiresAt },
    waitsForApproval: true,
  };
}
