import type { FileConfig } from "./schema.ts";

/** `limits` of the file in our terms: times in ms, sizes in bytes. */
export interface Limits {
  readonly cells: number;
  /** 0: no limit. */
  readonly perOwner: number;
  readonly perRepository: number;
  readonly perPerson: number;
  readonly runMs: number;
  readonly ttlMs: number;
  readonly graceMs: number;
  /** 0: for ever. */
  readonly keepMs: number;
  readonly revives: number;
  /** Agents of one team. */
  readonly team: number;
  /** Of one author, waiting for a decision. */
  readonly proposals: number;
  /** After a review that asks for changes, before its turn begins. */
  readonly reviewWaitMs: number;
  /** Turns in a row for reviews of one person; 0: no end. */
  readonly rounds: number;
  /** Turns of a cell; 0: no end. */
  readonly turns: number;
  /** Of a cell, where its agents tell what they use; 0: no limit. */
  readonly costUsd: number;
  readonly tokens: number;
  /** Of one check that names no limit of its own. */
  readonly checkMs: number;
  /** Of all checks of what was pushed. */
  readonly checksMs: number;
  /** Turns in a row that begin by themselves because a check fails; 0: none. */
  readonly fixes: number;
  readonly diskBytes: number;
  readonly freeBytes: number;
  readonly confinedBytes: number;
  /** Trees that wait for the next summon; 0: none. */
  readonly spares: number;
}

export function buildLimits(limits: FileConfig["limits"]): Limits {
  return {
    cells: limits.cells,
    perOwner: limits.per_owner,
    perRepository: limits.per_repository,
    perPerson: limits.per_person,
    runMs: limits.run,
    ttlMs: limits.ttl,
    graceMs: limits.grace,
    keepMs: limits.keep,
    revives: limits.revives,
    team: limits.team,
    proposals: limits.proposals,
    reviewWaitMs: limits.review_wait,
    rounds: limits.rounds,
    turns: limits.turns,
    costUsd: limits.cost,
    tokens: limits.tokens,
    checkMs: limits.check,
    checksMs: limits.checks,
    fixes: limits.fixes,
    diskBytes: limits.disk,
    freeBytes: limits.free,
    confinedBytes: limits.confined,
    spares: limits.spares,
  };
}
