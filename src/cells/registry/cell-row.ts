import * as z from "zod";
import { agentBeat, forgeAsker, harvest } from "../../protocol/shapes.ts";
import { type Cell, HEALTHS, OUTCOMES, STATES } from "../cell.ts";
import { flag, json } from "./columns.ts";

const closing = z.object({
  by: z.string(),
  discard: z.boolean(),
  thenDestroy: z.boolean(),
  outcome: z.enum(OUTCOMES).nullable(),
  person: z.string().nullable(),
});

const cellRow = z.object({
  id: z.string(),
  state: z.enum(STATES),
  outcome: z.enum(OUTCOMES).nullable(),
  health: z.enum(HEALTHS).nullable(),
  reason: z.string().nullable(),
  repository: z.number(),
  full_name: z.string(),
  number: z.number(),
  is_pull_request: flag,
  title: z.string(),
  issue_url: z.string(),
  requester_id: z.number().nullable(),
  requester_login: z.string(),
  asked_in_comment: z.number().nullable(),
  asked: json(forgeAsker).nullable(),
  agent: z.string(),
  waits_for_approval: flag,
  base_name: z.string(),
  base_ref: z.string(),
  base_commit: z.string(),
  branch: z.string(),
  delivery: z.enum(["draft", "branch"]),
  merge_into: json(z.object({ repository: z.string(), branch: z.string() })),
  brief: z.string(),
  brief_sha256: z.string(),
  created_at: z.number(),
  expires_at: z.number(),
  card_id: z.number().nullable(),
  pull_request: z.number().nullable(),
  pull_request_repository: z.string().nullable(),
  published_branch: z.string().nullable(),
  published_tip: z.string().nullable(),
  people_tip: z.string().nullable(),
  harvest: json(harvest).nullable(),
  push_refused: z.string().nullable(),
  released_tip: z.string().nullable(),
  released_by: z.string().nullable(),
  closing: json(closing).nullable(),
  sealed_at: z.number().nullable(),
  health_reason: z.string().nullable(),
  health_since: z.number().nullable(),
  seen_at: z.number().nullable(),
  beat: json(agentBeat).nullable(),
  breaker: z.string().nullable(),
  ttl_warned_for: z.number().nullable(),
  keep_until: z.number().nullable(),
  rules: json(z.object({ ref: z.string(), commit: z.string() })).nullable(),
  set_up_with: z.string().nullable(),
  runner: z.string(),
});

/** A row of `cells` as a Cell; throws where the file was tampered with. */
export function cellFromRow(row: unknown): Cell {
  const r = cellRow.parse(row);
  return {
    id: r.id,
    state: r.state,
    outcome: r.outcome,
    health: r.health,
    reason: r.reason,
    repository: { id: r.repository, fullName: r.full_name },
    number: r.number,
    isPullRequest: r.is_pull_request,
    title: r.title,
    issueUrl: r.issue_url,
    requester: { id: r.requester_id, login: r.requester_login },
    askedInComment: r.asked_in_comment,
    asked: r.asked,
    agent: r.agent,
    waitsForApproval: r.waits_for_approval,
    baseName: r.base_name,
    baseRef: r.base_ref,
    baseCommit: r.base_commit,
    branch: r.branch,
    delivery: r.delivery,
    mergeInto: r.merge_into,
    brief: r.brief,
    briefSha256: r.brief_sha256,
    createdAt: r.created_at,
    expiresAt: r.expires_at,
    cardId: r.card_id,
    pullRequest: r.pull_request,
    pullRequestRepository: r.pull_request_repository,
    publishedBranch: r.published_branch,
    publishedTip: r.published_tip,
    peopleTip: r.people_tip,
    harvest: r.harvest,
    pushRefused: r.push_refused,
    releasedTip: r.released_tip,
    releasedBy: r.released_by,
    closing: r.closing,
    sealedAt: r.sealed_at,
    healthReason: r.health_reason,
    healthSince: r.health_since,
    seenAt: r.seen_at,
    beat: r.beat,
    breaker: r.breaker,
    ttlWarnedFor: r.ttl_warned_for,
    keepUntil: r.keep_until,
    rules: r.rules,
    setUpWith: r.set_up_with,
    runner: r.runner,
  };
}

/** As much of a cell as tells how its directory must be. */
export type Standing = Pick<Cell, "id" | "state" | "reason" | "sealedAt" | "closing"> & {
  readonly row: number;
};

const standingRow = cellRow
  .pick({ id: true, state: true, reason: true, sealed_at: true, closing: true })
  .extend({ row: z.number() });

/** A row of `rowid AS row, id, state, reason, sealed_at, closing`. */
export function standingFromRow(row: unknown): Standing {
  const { sealed_at: sealedAt, ...rest } = standingRow.parse(row);
  return { ...rest, sealedAt };
}

/** A cell as it is made: what only happens to it later is empty. */
export type NewCell = Omit<
  Cell,
  | "state"
  | "outcome"
  | "health"
  | "cardId"
  | "pullRequest"
  | "pullRequestRepository"
  | "publishedBranch"
  | "publishedTip"
  | "peopleTip"
  | "harvest"
  | "pushRefused"
  | "releasedTip"
  | "releasedBy"
  | "closing"
  | "sealedAt"
  | "healthReason"
  | "healthSince"
  | "seenAt"
  | "beat"
  | "breaker"
  | "ttlWarnedFor"
  | "keepUntil"
  | "setUpWith"
  | "runner"
>;

/** The parameters of the statement that inserts a cell. */
export function bindCell(cell: NewCell): Record<string, unknown> {
  return {
    ...cell,
    repository: cell.repository.id,
    fullName: cell.repository.fullName,
    isPullRequest: Number(cell.isPullRequest),
    requesterId: cell.requester.id,
    requesterLogin: cell.requester.login,
    waitsForApproval: Number(cell.waitsForApproval),
    mergeInto: JSON.stringify(cell.mergeInto),
    rules: cell.rules === null ? null : JSON.stringify(cell.rules),
    asked: cell.asked === null ? null : JSON.stringify(cell.asked),
  };
}

/** Writes what `bindCell` gives, as the youngest cell. */
export const INSERT_CELL = `
  INSERT INTO cells (id, seq, state, reason, repository, full_name, number, is_pull_request, title, issue_url,
    requester_id, requester_login, asked_in_comment, asked, agent, waits_for_approval, base_name, base_ref, base_commit,
    branch, delivery, merge_into, rules, brief, brief_sha256, created_at, expires_at)
  VALUES (@id, (SELECT COALESCE(MAX(seq), 0) + 1 FROM cells), 'proposed', @reason, @repository, @fullName, @number, @isPullRequest,
    @title, @issueUrl, @requesterId, @requesterLogin, @askedInComment, @asked, @agent, @waitsForApproval, @baseName, @baseRef,
    @baseCommit, @branch, @delivery, @mergeInto, @rules, @brief, @briefSha256, @createdAt, @expiresAt)`;
