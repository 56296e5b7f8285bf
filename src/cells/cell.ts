import type { ForgeAsker } from "../protocol/asker.ts";
import type {
  AgentBeat,
  Fork,
  GivenSecret,
  Harvest,
  PeoplePush,
  RepositoryRef,
  SetupBegun,
  SetupEnd,
} from "../protocol/shapes.ts";
import type { CardShown } from "./card-shown.ts";
import type { Checked } from "./check.ts";
import type { ExitClass, StopCause } from "./exit.ts";
import type { Left } from "./handoff.ts";
import type { Stored } from "./stored-seal.ts";

/** The six words of the lifecycle; the stored state is always one of them. */
export const STATES = ["proposed", "active", "idle", "closing", "archived", "destroyed"] as const;
export type State = (typeof STATES)[number];

/** Every move there is: `registry.move`, the only writer, asks this table. */
export const MOVES: Readonly<Record<State, readonly State[]>> = {
  proposed: ["active", "archived"],
  active: ["idle", "closing"],
  idle: ["active", "closing"],
  closing: ["archived", "idle"],
  archived: ["active", "destroyed"],
  destroyed: [],
};

export const OUTCOMES = [
  "done",
  "nothing-changed",
  "failed",
  "declined",
  "expired",
  "discarded",
  "merged",
  "rejected",
  "lost",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const ROLES = ["observer", "executor", "director"] as const;
export type Role = (typeof ROLES)[number];

/** Whether `role` includes all that `needed` may do. */
export function includesRole(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

export const HEALTHS = ["healthy", "quiet", "stalled", "looping", "dead"] as const;
export type Health = (typeof HEALTHS)[number];

/** Who asked: a person of the forge, or the operator of the command line (`id` null). */
export interface Requester {
  readonly id: number | null;
  readonly login: string;
}

export interface Member {
  readonly name: string;
  readonly kind: "bot" | "user";
  readonly role: Role;
  /** When a person's invitation ends, epoch ms; null: with the cell. Agents have none. */
  readonly until?: number | null;
}

/**
 * One isolated workspace for one mission on one target, as the registry knows it. Times are epoch
 * milliseconds.
 */
export interface Cell {
  readonly id: string;
  readonly state: State;
  readonly outcome: Outcome | null;
  readonly health: Health | null;
  /**
   * Why it is not going on, or not as it should: all the causes below in words, for people (`reasonOf`). It
   * is not stored.
   */
  readonly reason: string | null;
  /** Why a director must let it start. */
  readonly approval: string | null;
  /** Why the run that was asked for last never began. */
  readonly notStarted: string | null;
  /** A job that failed, and is tried again, or never by itself (`isOver`). */
  readonly stuck: { readonly job: string; readonly why: string; readonly isOver: boolean } | null;
  /** Why closing it was given up. */
  readonly notClosed: string | null;
  /** What the pit found twice in a row: `gone`, `damaged: worktree is a link, not a directory`. */
  readonly directoryTrouble: string | null;
  /** Its repository is not there any more, or not served under its name of now: nothing can be published. */
  readonly repositoryTrouble: string | null;
  /** The branch that people had moved, so that what was made went to another. */
  readonly divertedFrom: string | null;
  /** The log of the run at work was cut in its middle. */
  readonly logCut: { readonly run: number; readonly bytes: number } | null;
  readonly repository: RepositoryRef;
  /** The issue or pull request that bears the card. */
  readonly number: number;
  readonly isPullRequest: boolean;
  readonly title: string;
  readonly issueUrl: string;
  readonly requester: Requester;
  /** The comment that asked, if one did; when it is deleted before the start, the cell is withdrawn. */
  readonly askedInComment: number | null;
  /** Where it was asked for on the forge, so that they hear there what becomes of it; null: not there. */
  readonly asked: ForgeAsker | null;
  readonly agent: string;
  readonly waitsForApproval: boolean;
  /** Name of the branch the work started from, for people. */
  readonly baseName: string;
  readonly baseRef: string;
  readonly baseCommit: string;
  /** Where the repository's own `.lazarus.yml` is read; null: at the base commit. */
  readonly rules: { readonly ref: string; readonly commit: string } | null;
  /**
   * The fork that it started from, and a commit of the target's own base: what lies between came from there;
   * null: it did not start from a fork.
   */
  readonly fork: Fork | null;
  readonly branch: string;
  /** `draft`: a pull request of our own; `branch`: the branch of the pull request the cell is about. */
  readonly delivery: "draft" | "branch";
  /** What the draft is to be merged into; `repository` differs where it is a fork's. */
  readonly mergeInto: { readonly repository: string; readonly branch: string };
  readonly brief: string;
  readonly briefSha256: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly cardId: number | null;
  /** What its card was last edited to; null: nobody has tried to post it. */
  readonly cardShown: CardShown | null;
  readonly pullRequest: number | null;
  readonly pullRequestRepository: string | null;
  readonly publishedBranch: string | null;
  readonly publishedTip: string | null;
  /** What people pushed to the branch last, where it was taken into the tree. */
  readonly peopleTip: string | null;
  readonly harvest: Harvest | null;
  /** The tip that a director let go although it was held back. */
  readonly releasedTip: string | null;
  readonly releasedBy: string | null;
  /** Values of `env` that a director let go in this cell, by name and mark; null: none. */
  readonly releasedSecrets: readonly GivenSecret[] | null;
  /** What the forge said when it refused the push; null when it did not. */
  readonly pushRefused: string | null;
  /** Why a cell is closing and what follows. */
  readonly closing: Closing | null;
  readonly sealedAt: number | null;
  /** Why it is healthy, quiet, stalled, looping or dead: `no output, no change for 11 min, process alive`. */
  readonly healthReason: string | null;
  readonly healthSince: number | null;
  /** Last sign of life of the running agent: output, a change in the tree, a heartbeat of its own. */
  readonly seenAt: number | null;
  /** The agent's own last heartbeat. */
  readonly beat: AgentBeat | null;
  /** Why nothing is tried again by itself any more, until a person asks for it. */
  readonly breaker: string | null;
  /** The `expiresAt` that was warned of. */
  readonly ttlWarnedFor: number | null;
  /** When an archived cell is destroyed by itself; null: never. */
  readonly keepUntil: number | null;
  /**
   * Digest of the setup that its tree, as it is, was set up with; null: none, or it was brought back since.
   */
  readonly setUpWith: string | null;
  /** What is to be run on what it pushed last; null: nobody has looked yet. */
  readonly checked: Checked | null;
  /** On which runner its directory lies; why that one does nothing for it just now. */
  readonly runner: string;
  readonly runnerTrouble: string | null;
  /** Its seal as control keeps it, besides on its runner; null: it does not. */
  readonly stored: Stored | null;
  /** What directors gave it besides `limits.cost` and `limits.tokens`. */
  readonly moreUsd: number;
  readonly moreTokens: number;
  /** The last turn that does not count for `limits.turns` any more: a director let it go on then. */
  readonly turnsFrom: number;
}

export interface Closing {
  readonly by: string;
  /** Ends without publishing. */
  readonly discard: boolean;
  readonly thenDestroy: boolean;
  readonly outcome: Outcome | null;
  /** The comment's thread is told who asked. */
  readonly person: string | null;
  /** Its draft was approved as it is: nothing more is pushed to it. */
  readonly isApproved?: boolean | undefined;
  /** Its pull request is to be merged once all of it is published. */
  readonly isToMerge?: boolean | undefined;
}

export const RUN_STATES = ["waiting", "admitted", "running", "ended", "withdrawn"] as const;
export type RunState = (typeof RUN_STATES)[number];

/**
 * Why an agent has a turn at the tree: the cell's first, the next of its team, a person revived the cell,
 * told it something, asked for changes in a review, or invited it, or a check failed. Runs are a turn's
 * attempts.
 */
export const TURN_KINDS = ["first", "next", "revive", "tell", "review", "fix", "guest"] as const;
export type TurnKind = (typeof TURN_KINDS)[number];

/**
 * One execution of one agent. `waiting`: in line for a place; `admitted`: has its place and is being started;
 * both `admitted` and `running` count against the limits.
 */
export interface Run {
  readonly cellId: string;
  readonly n: number;
  /** The turn it is an attempt of, counted from 1 in its cell. */
  readonly turn: number;
  readonly turnKind: TurnKind;
  readonly agent: string;
  readonly role: Role;
  readonly state: RunState;
  readonly requester: Requester;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly code: number | null;
  readonly signal: string | null;
  /** Why Lazarus ended it, in words; null when it ended by itself. */
  readonly stopped: string | null;
  /** The same for decisions. */
  readonly stopCause: StopCause | null;
  readonly handle: Readonly<Record<string, unknown>> | null;
  readonly logPath: string | null;
  readonly collectedAt: number | null;
  readonly leftovers: readonly string[];
  /** `host:port` of what it asked for and may not reach. */
  readonly refusedHosts: readonly string[];
  /** Waits until then, whatever place there is. */
  readonly notBefore: number | null;
  /** What people had pushed to the cell's branch when it was about to start; null: nothing new. */
  readonly people: PeoplePush | null;
  /** Lazarus itself asked for it: a retry. */
  readonly isAutomatic: boolean;
  readonly exitClass: ExitClass | null;
  /** What the class was read from, in words: `exit 3`, `the machine ran out of memory`. */
  readonly exitWhy: string | null;
  /** The agent's own words about it; null where it said none. */
  readonly exitSays: string | null;
  /** When a quota resets, as the agent said. */
  readonly resetsAt: number | null;
  /** What its agent was given that must not leave the cell; null: nobody wrote it down. */
  readonly secrets: readonly GivenSecret[] | null;
  /** How its cell was set up for it; null: it was not. */
  readonly setup: Setup | null;
  /** What it left whoever works there next; null: it was not looked at, or an older version did. */
  readonly left: Left | null;
  /** What it has used, as its agent tells it; null: it did not tell. */
  readonly costUsd: number | null;
  readonly tokens: number | null;
  /** What directors gave it besides its agent's limits. */
  readonly moreUsd: number;
  readonly moreTokens: number;
}

/** Whether it only looks: what it leaves is its report, and nothing of it is published. */
export function isVisit(run: Pick<Run, "role">): boolean {
  return run.role === "observer";
}

/** The setup of a cell for one run; `end` is null while it is at work. */
export type Setup = SetupBegun & { readonly end: SetupEnd | null };

/** Whether the cell is being set up for a run just now. */
export function isBeingSetUp(run: Pick<Run, "state" | "setup"> | null): boolean {
  return run?.state === "admitted" && run.setup !== null && run.setup.end === null;
}

/**
 * Whether no agent is at work in a cell, nor about to be: whoever wants a run need not wait. What checks its
 * work gives way. `last`: its last run.
 */
export function isResting(cell: Pick<Cell, "state">, last: Pick<Run, "state"> | null): boolean {
  if (cell.state === "idle") return true;
  return cell.state === "active" && last?.state !== "admitted" && last?.state !== "running";
}

/** Whether a setup did all it had to. */
export function isSetupDone(end: SetupEnd): boolean {
  return end.code === 0 && end.stopped === null && end.leftovers.length === 0;
}

/** First eight characters of a cell's id: how people see it. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** `acme/app#262`. */
export function targetOf(cell: Pick<Cell, "repository" | "number">): string {
  return `${cell.repository.fullName}#${cell.number}`;
}
