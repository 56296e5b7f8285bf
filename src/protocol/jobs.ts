import * as z from "zod";
import { delivered } from "./delivered.ts";
import { point, pointAnswer } from "./points.ts";
import { REPLY_JOBS } from "./reply-jobs.ts";
import {
  agentBeat,
  asker,
  cellSpec,
  fork,
  givenPrompt,
  givenSecret,
  handle,
  harvest,
  mission,
  peoplePush,
  processName,
  repository,
  runPrompt,
  seams,
  setupBegun,
  setupEnd,
  user,
} from "./shapes.ts";

/**
 * Every kind of job, its queue and the shape of its payload. The payloads cross from control to runners,
 * which may be other hosts: they hold all that the other side needs, and no secret.
 */

const runRef = { cellId: z.string(), run: z.number() };

export const JOBS = {
  // events: receiver, catch-up, command line -> control
  thread: {
    queue: "events",
    payload: z.object({
      repository,
      number: z.number(),
      delivered,
      /** How often in a row it was not there. */
      missed: z.number().optional(),
    }),
  },
  command: {
    queue: "events",
    payload: z.object({
      asker,
      verb: z.string(),
      /** Validated by the verb's own spec. */
      words: z.array(z.string()),
      flags: z.record(z.string(), z.union([z.string(), z.boolean()])),
      /** What followed ` -- ` (or, for `tell`, the verb), as typed. */
      text: z.string().nullable(),
      /** SHA-256 of the issue's text when the command was typed; null where no delivery told it. */
      issueHash: z.string().nullable(),
    }),
  },
  /** A run that waited in line may start: rights are checked again. */
  admit: { queue: "events", payload: z.object(runRef) },
  /** A tip is to be pushed: that the repository is still the one we know is checked first. */
  publish: {
    queue: "events",
    /** `asked` tells one asking from the next, so that what was refused can be tried again. */
    payload: z.object({ ...runRef, tip: z.string(), asked: z.string() }),
  },

  // cells: control -> runner
  start: {
    queue: "cells",
    payload: z.object({
      cell: cellSpec,
      run: z.number(),
      agent: z.string(),
      role: z.enum(["observer", "executor", "director"]),
      /** Where an older version put the job there is none: the brief. */
      prompt: runPrompt.default({ kind: "brief", text: "", earlier: [] }),
      /** Digest of the setup that the tree, as it is, was set up with; none: of none. */
      setUpWith: z.string().nullable().optional(),
      /** Its setup has just ended well: no other one now. */
      isSetUp: z.boolean().optional(),
      /** The turn that it is an attempt of; absent: an older version put the job there. */
      turn: z.number().optional(),
      /** Its turn has points to answer. */
      isAsked: z.boolean().optional(),
    }),
  },
  stop: {
    queue: "cells",
    payload: z.object({ ...runRef, user, handle: handle.nullable(), why: z.string() }),
  },
  collect: {
    queue: "cells",
    payload: z.object({
      ...runRef,
      repository,
      user,
      agent: z.string(),
      /** Absent: an older version put the job there. */
      turn: z.number().optional(),
      branch: z.string(),
      baseCommit: z.string(),
      handle: handle.nullable(),
      /** Epoch ms. */
      endedAt: z.number().nullable().default(null),
      seams,
      /** What it started from is a fork's, and nothing of it is in the target yet. */
      fork: fork.nullable().default(null),
      /** What agents of the cell were given: nothing leaves it before each of them can be looked for. */
      secrets: z.array(givenSecret).default([]),
      /** What it was to answer; null: nothing. */
      asked: z
        .object({
          turn: z.number(),
          points: z.array(point),
          /** What the forge has of the work: what is no part of it was made since. */
          since: z.array(z.string()),
        })
        .nullable()
        .default(null),
    }),
  },
  /**
   * Before a run starts in a cell that was published: what people pushed to its branch meanwhile is taken
   * into the tree.
   */
  "take-in": {
    queue: "cells",
    payload: z.object({
      ...runRef,
      repository,
      user,
      agent: z.string(),
      branch: z.string(),
      /** What the branch holds as far as we know. */
      tip: z.string(),
      baseCommit: z.string(),
    }),
  },
  push: {
    queue: "cells",
    payload: z.object({
      ...runRef,
      repository,
      branch: z.string(),
      tip: z.string(),
      /** The tip the branch has on the forge as far as we know; null: it does not exist there. */
      lease: z.string().nullable(),
      /** What people pushed last: a tip without it is never pushed over it. */
      theirs: z.string().nullable().default(null),
    }),
  },
  /** Removes a cell's branch from the forge, where its tip still is what was pushed. */
  "delete-branch": {
    queue: "cells",
    payload: z.object({ cellId: z.string(), repository, branch: z.string(), tip: z.string() }),
  },
  seal: {
    queue: "cells",
    payload: z.object({
      cellId: z.string(),
      repository,
      baseCommit: z.string(),
      user,
      /**
       * Whose run was the last, and its handle: its repository is asked as that agent would; null: nobody's.
       */
      run: z.number().default(0),
      agent: z.string().nullable().default(null),
      handle: handle.nullable().default(null),
    }),
  },
  /** An archived cell is brought back for a run. */
  restore: {
    queue: "cells",
    payload: z.object({ ...runRef, repository, user, baseCommit: z.string(), baseRef: z.string() }),
  },
  prune: {
    queue: "cells",
    payload: z.object({
      cellId: z.string(),
      mission,
      /**
       * The run that the cell had been brought back for, and that came to nothing; null: it was just sealed.
       */
      run: z.number().nullable().default(null),
    }),
  },
  scrub: {
    queue: "cells",
    payload: z.object({ cellId: z.string(), repository, user, handle: handle.nullable() }),
  },
  mark: { queue: "cells", payload: z.object({ cellId: z.string(), mission }) },
  tail: {
    queue: "cells",
    payload: z.object({
      ...runRef,
      agent: z.string(),
      lines: z.number(),
      raw: z.boolean().default(false),
      secrets: z.array(givenSecret).default([]),
      asker,
    }),
  },

  // reports: runner, pit -> control
  "run-started": {
    queue: "reports",
    payload: z.object({
      ...runRef,
      handle,
      startedAt: z.number(),
      logPath: z.string(),
      prompt: givenPrompt.nullable().default(null),
      /** Null where an older version started it. */
      secrets: z.array(givenSecret).nullable().default(null),
    }),
  },
  /** Its cell is being set up first. */
  "setup-started": { queue: "reports", payload: z.object({ ...runRef, setup: setupBegun }) },
  "setup-ended": { queue: "reports", payload: z.object({ ...runRef, end: setupEnd }) },
  /** It cannot be started, and trying again will not help. */
  "run-refused": { queue: "reports", payload: z.object({ ...runRef, why: z.string() }) },
  "run-ended": {
    queue: "reports",
    payload: z.object({
      ...runRef,
      /** Whether a process of this run was ever started: false where it was stopped on its way. */
      began: z.boolean().default(true),
      endedAt: z.number(),
      /** Null where nobody saw it end. */
      code: z.number().nullable(),
      signal: z.string().nullable(),
      /** Why we ended it (`stopped by dev`, `over its wall clock of 2h`), or null when it ended by itself. */
      stopped: z.string().nullable(),
      /** What still lives although it was killed; empty when everything is proven gone. */
      leftovers: z.array(processName),
      /** `host:port` of what the agent asked for and may not reach. */
      refusedHosts: z.array(z.string()).default([]),
    }),
  },
  "over-limit": {
    queue: "reports",
    payload: z.object({ ...runRef, limit: z.enum(["time", "disk"]).default("time"), why: z.string() }),
  },
  "log-cut": { queue: "reports", payload: z.object({ ...runRef, bytes: z.number() }) },
  /** How a running run is, and why; times are epoch ms. */
  health: {
    queue: "reports",
    payload: z.object({
      ...runRef,
      health: z.enum(["healthy", "quiet", "stalled", "looping", "dead"]),
      reason: z.string(),
      since: z.number(),
      seenAt: z.number(),
      beat: agentBeat.nullable(),
    }),
  },
  collected: {
    queue: "reports",
    /** `answers`: to what it was asked; absent: nothing. `packet`: its words for the next agent. */
    payload: z.object({
      ...runRef,
      harvest,
      answers: z.array(pointAnswer).optional(),
      packet: z.string().nullable().optional(),
    }),
  },
  pushed: {
    queue: "reports",
    payload: z.object({
      ...runRef,
      branch: z.string(),
      tip: z.string(),
      divertedFrom: z.string().nullable(),
    }),
  },
  "push-refused": { queue: "reports", payload: z.object({ ...runRef, why: z.string() }) },
  sealed: { queue: "reports", payload: z.object({ cellId: z.string(), bytes: z.number() }) },
  restored: { queue: "reports", payload: z.object(runRef) },
  /** Its archive is damaged, or what it needs is gone: nothing was changed. */
  "taken-in": { queue: "reports", payload: z.object({ ...runRef, people: peoplePush.nullable() }) },
  "restore-refused": { queue: "reports", payload: z.object({ ...runRef, why: z.string() }) },
  scrubbed: { queue: "reports", payload: z.object({ cellId: z.string() }) },
  tailed: {
    queue: "reports",
    payload: z.object({ ...runRef, asker, text: z.string(), truncated: z.boolean() }),
  },

  ...REPLY_JOBS,
} as const satisfies Record<string, { queue: string; payload: z.ZodType }>;

export const QUEUES = ["events", "cells", "reports", "replies"] as const;
export type QueueName = (typeof QUEUES)[number];
export type JobKind = keyof typeof JOBS;
export type JobPayload<K extends JobKind> = z.infer<(typeof JOBS)[K]["payload"]>;
