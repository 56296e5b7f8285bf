import * as z from "zod";
import { shownSecret } from "./shown-secret.ts";

/** The shapes that payloads of several jobs share: plain data, and no secret. */

export const repository = z.object({ id: z.number(), fullName: z.string() });
export type RepositoryRef = z.infer<typeof repository>;

/** A process as a backend started it: plain JSON, its shape is the backend's own business. */
export const handle = z.record(z.string(), z.unknown());

/** The cell's own user, in whose groups is its repository's; null: the user that Lazarus runs as. */
export const user = z
  .object({ uid: z.number(), gid: z.number(), groups: z.array(z.number()) })
  .nullable()
  .default(null);
export type CellUserNumbers = NonNullable<z.infer<typeof user>>;

/** What an agent, or its gateway, says of itself. */
export const agentBeat = z.object({
  /** Epoch ms. */
  at: z.number(),
  state: z.string(),
  message: z.string().nullable(),
  /** 0 to 1, or in words. */
  progress: z.union([z.number(), z.string()]).nullable(),
  by: z.enum(["agent", "file", "gateway"]),
});
export type AgentBeat = z.infer<typeof agentBeat>;

/**
 * A secret that an agent was given: the variable's name, and a mark that tells whether a value is the same;
 * null: nobody wrote down which value it had.
 */
export const givenSecret = z.object({ name: z.string(), mark: z.string().nullable() });
export type GivenSecret = z.infer<typeof givenSecret>;

/** Where a cell started from that is not its target's own. */
export const fork = z.object({
  /** `dev/app` */
  fullName: z.string(),
  /** What the pull request is to be merged into. */
  ref: z.string(),
  /** Where that stood when the cell was planned; null: nobody wrote it down. */
  commit: z.string().nullable(),
});
export type Fork = z.infer<typeof fork>;

export const cellSpec = z.object({
  id: z.string(),
  repository,
  user,
  /** `acme/app#262` or `acme/app` */
  target: z.string(),
  title: z.string(),
  issueUrl: z.string(),
  requestedBy: z.string(),
  createdAt: z.number(),
  members: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(["bot", "user"]),
      role: z.enum(["observer", "executor", "director"]),
      /** When a person's invitation ends, RFC 3339; null: with the cell; absent: an agent. */
      until: z.string().nullable().optional(),
    }),
  ),
  /** The branch that is checked out in the worktree and pushed. */
  branch: z.string(),
  /** What to fetch when the base commit is not in the mirror yet: `refs/heads/main`, `refs/pull/7/head`. */
  baseRef: z.string(),
  baseCommit: z.string(),
  /**
   * What it pushed before its directory was lost with its runner: a new one begins there; null: at the base
   * commit.
   */
  startsAt: z.object({ ref: z.string(), commit: z.string() }).nullable().default(null),
  /**
   * Where `.lazarus.yml` is read; null: at the base commit. A pull request's head is never the place: anybody
   * may have written it.
   */
  rules: z.object({ ref: z.string(), commit: z.string() }).nullable().default(null),
  brief: z.string(),
  briefSha256: z.string(),
});
export type CellSpec = z.infer<typeof cellSpec>;

/** `brief`: a cell's first run; `words`: a person asks for a run; `again`: Lazarus tries again by itself. */
export const PROMPT_KINDS = ["brief", "words", "again"] as const;
export type PromptKind = (typeof PROMPT_KINDS)[number];

/**
 * What a run is asked. The text is what is new to its agent; of a `brief` it is empty, since the cell's brief
 * is all of it.
 */
export const runPrompt = z.object({
  kind: z.enum(PROMPT_KINDS),
  text: z.string(),
  /** Agents that worked in the cell before, each once. */
  earlier: z.array(z.string()),
});
export type RunPrompt = z.infer<typeof runPrompt>;

/** What a run was given in the end: SHA-256 of its file, and whether its agent goes on with its session. */
export const givenPrompt = z.object({ sha256: z.string(), isResumed: z.boolean() });
export type GivenPrompt = z.infer<typeof givenPrompt>;

/** What `meta/mission.json` says; written by the runner after every move. */
export const mission = z.object({
  status: z.string(),
  /** Both change with the name of the repository; jobs of earlier versions do not tell them. */
  target: z.string().optional(),
  issue_url: z.string().optional(),
  members: cellSpec.shape.members,
  history: z.array(
    z.object({
      at: z.string(),
      from: z.string().nullable(),
      to: z.string(),
      who: z.string(),
      why: z.string(),
    }),
  ),
});
export type MissionUpdate = z.infer<typeof mission>;

export const processName = z.object({ pid: z.number(), command: z.string() });

/** A setup that was begun in a cell, for one of its runs. */
export const setupBegun = z.object({
  command: z.string(),
  /** Which command it is, with its network and variables: the same is not run twice in one tree. */
  digest: z.string(),
  /** `.lazarus.yml at a1b2c3d` where the command stands there; null: in lazarus.yaml. */
  source: z.string().nullable(),
  network: z.union([z.enum(["none", "full"]), z.array(z.string())]),
  limitMs: z.number(),
  handle,
  startedAt: z.number(),
});
export type SetupBegun = z.infer<typeof setupBegun>;

/** How a setup ended. */
export const setupEnd = z.object({
  endedAt: z.number(),
  /** Null where it left no exit record. */
  code: z.number().nullable(),
  signal: z.string().nullable(),
  /** Why Lazarus ended it: `over its limit of 5m`; null when it ended by itself. */
  stopped: z.string().nullable(),
  /** The end of its output, redacted; only where it failed. */
  tail: z.string(),
  refusedHosts: z.array(z.string()),
  leftovers: z.array(z.string()),
  /** Files that git tracks and that it changed. */
  changed: z.array(z.string()),
  /** What it left that git does not know, and that is kept out of the work. */
  untracked: z.array(z.string()),
});
export type SetupEnd = z.infer<typeof setupEnd>;

const commit = z.object({ hash: z.string(), subject: z.string(), author: z.string(), at: z.number() });
/**
 * What the end of a run's log and the machine say of how it went: signs, no proof; an agent writes its log
 * itself.
 */
export const signs = z.object({
  /** What its own last event says; null where it writes none. */
  event: z.enum(["ok", "failed"]).nullable(),
  /** That event's words of what went wrong. */
  says: z.string(),
  /** The limit of its own that it came to. */
  ownLimit: z.string().nullable(),
  /** `resetsAt`: epoch ms; null where it does not say. */
  quota: z.object({ words: z.string(), resetsAt: z.number().nullable() }).nullable(),
  /** Why it may not use its model. */
  login: z.string().nullable(),
  /** Why nobody pays for its model any more. */
  credit: z.string().nullable().default(null),
  /** The kernel has killed something for lack of memory since it started. */
  isOutOfMemory: z.boolean(),
  /** It has because the cell came to its own limit of memory. */
  isOverMemory: z.boolean().default(false),
  /** The machine was started anew since. */
  isRebooted: z.boolean(),
});
export type Signs = z.infer<typeof signs>;

/** What an agent's own events say of what it said and did: its words, in plain text and cut. */
export const said = z.object({
  /** Its last words; empty where it said nothing. */
  words: z.string(),
  /**
   * The last commands that it ran; `exit` and `end` (the last line of what a failed one printed) where they
   * are told.
   */
  ran: z.array(
    z.object({ command: z.string(), exit: z.number().nullable(), isFailed: z.boolean(), end: z.string() }),
  ),
  /** How many it ran, and how many of them failed; null where its log was too long to count. */
  commands: z.number().nullable(),
  failed: z.number().nullable(),
  /** The first of what it was not allowed to do, with the reason it was given. */
  denied: z.array(z.object({ what: z.string(), why: z.string() })),
  denials: z.number(),
  turns: z.number().nullable(),
  costUsd: z.number().nullable(),
  /** What its model or its program refused last; empty where it went on after that. */
  trouble: z.string(),
});
export type Said = z.infer<typeof said>;

/** What people pushed to a cell's branch since it was known, as a run found it before it started. */
export const peoplePush = z.object({
  branch: z.string(),
  /** What the branch held as far as we knew, and what it holds now. */
  from: z.string(),
  tip: z.string(),
  /** The newest along the branch's own line, cut; `count` is all of them, with what was merged into it. */
  commits: z.array(commit),
  count: z.number(),
  /** It is in the tree; else `why` it is not. */
  isTaken: z.boolean(),
  why: z.string().nullable(),
});
export type PeoplePush = z.infer<typeof peoplePush>;

/**
 * From what the agents had made to what people made of it, oldest first: what lies between is nobody's of the
 * cell. `isTaken`: the tree was moved to it.
 */
export const seams = z
  .array(z.object({ from: z.string(), to: z.string(), isTaken: z.boolean() }))
  .default([]);
export type Seams = z.infer<typeof seams>;

/** What a run left behind, as seen in the quarantine repository and the cell's artifacts. */
export const harvest = z.object({
  changed: z.boolean(),
  /**
   * Tip of what HEAD points at, incl. one commit for what was left uncommitted. Null where nothing changed.
   */
  tip: z.string().nullable(),
  commits: z.array(commit),
  /** How many there are; `commits` is cut to the newest 50. */
  commitCount: z.number(),
  files: z.number(),
  added: z.number(),
  removed: z.number(),
  /** The last commit holds what the agent had not committed. */
  hadUncommitted: z.boolean(),
  /** A merge, rebase or pick that was left in the middle. */
  unfinished: z.string().nullable(),
  /** `.git` was unusable: the tree's regular files were committed over the base. */
  salvaged: z.string().nullable(),
  /** Each reason why nothing is pushed. */
  heldBack: z.array(z.string()),
  /** Each change that decides what runs next: not pushed without a director's word. */
  protectedPaths: z.array(z.string()).default([]),
  /** What must never be pushed, whoever says so: secrets. */
  forbidden: z.array(z.string()).default([]),
  /** Secrets that it shows and that a director may let go, one by one. */
  shownSecrets: z.array(shownSecret).default([]),
  /** The diff of what is held back, cut, secrets hidden; null where nothing is. */
  diff: z.string().nullable().default(null),
  /** Commit messages that would close issues. */
  closing: z.array(z.string()).default([]),
  /** The agent's own report, cut; its words. */
  report: z.string().nullable(),
  /** What it asks the people who asked for it; its words. */
  question: z.string().nullable().default(null),
  signs: signs.nullable().default(null),
  said: said.nullable().default(null),
  /** The end of the run's log, rendered and redacted. */
  logTail: z.string(),
});
export type Harvest = z.infer<typeof harvest>;
