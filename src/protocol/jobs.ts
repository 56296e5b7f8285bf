import * as z from "zod";
import { asker } from "./asker.ts";
import { delivered } from "./delivered.ts";
import { point } from "./points.ts";
import { REPLY_JOBS } from "./reply-jobs.ts";
import { checkRef, REPORT_JOBS, runRef } from "./report-jobs.ts";
import {
  cellSpec,
  fork,
  givenSecret,
  handle,
  mission,
  repository,
  runPrompt,
  seams,
  user,
} from "./shapes.ts";

/**
 * Every kind of job, its queue and the shape of its payload. The payloads cross from control to runners,
 * which may be other hosts: they hold all that the other side needs, and no secret.
 */

/** Where the commands of a cell's repository stand. */
const ruled = {
  repository,
  user,
  rules: cellSpec.shape.rules,
  baseRef: z.string(),
  baseCommit: z.string(),
};

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
      /** What it may cost at most, for agents that can be told; absent or null: no limit. */
      budgetUsd: z.number().nullable().optional(),
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
      /** An observer's report is all that is taken. Absent: an older version put the job there. */
      role: z.enum(["observer", "executor", "director"]).optional(),
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
      /** Patterns of paths that its proposal says are not to be touched. */
      untouched: z.array(z.string()).default([]),
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
  /** Reads which checks there are for what a cell pushed. */
  "plan-checks": { queue: "cells", payload: z.object({ cellId: z.string(), ...ruled, tip: z.string() }) },
  /** Begins one of them, in a clean clone of `commit`. `digest`: which command was planned. */
  check: {
    queue: "cells",
    payload: z.object({
      ...checkRef,
      ...ruled,
      /** Whose isolation it has. */
      agent: z.string(),
      name: z.string(),
      digest: z.string(),
      commit: z.string(),
      /** What to fetch when the mirror does not have it yet. */
      ref: z.string(),
      /** The most that is left of `limits.checks`. */
      mostMs: z.number(),
    }),
  },
  "end-check": {
    queue: "cells",
    payload: z.object({ ...checkRef, user, handle: handle.nullable(), why: z.string() }),
  },
  /** Removes a cell's branch from the forge, where its tip still is what was pushed. */
  "delete-branch": {
    queue: "cells",
    payload: z.object({ cellId: z.string(), repository, branch: z.string(), tip: z.string() }),
  },
  /** Makes a tree that waits for the next cell of this one's repository, as that cell's user. */
  spare: {
    queue: "cells",
    payload: z.object({ cellId: z.string(), repository, user, ref: z.string(), commit: z.string() }),
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
  /** Hands an archived cell's seal over to where control keeps seals. */
  store: { queue: "cells", payload: z.object({ cellId: z.string() }) },
  /** An archived cell is brought back for a run. */
  restore: {
    queue: "cells",
    payload: z.object({
      ...{ ...runRef, repository, user, baseCommit: z.string(), baseRef: z.string() },
      /**
       * The seal that control keeps, which is fetched where another, or none, lies here; and what people
       * pushed last, which its tree may borrow.
       */
      stored: z
        .object({ digest: z.string(), theirs: z.object({ ref: z.string(), commit: z.string() }).nullable() })
        .nullable()
        .default(null),
    }),
  },
  /** What lies on the runner `on` of a cell that left it goes, unless it is there for a run after `run`. */
  "let-go": {
    queue: "cells",
    payload: z.object({ ...runRef, repository, user, on: z.string() }),
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

  ...REPORT_JOBS,
  ...REPLY_JOBS,
} as const satisfies Record<string, { queue: string; payload: z.ZodType }>;

export const QUEUES = ["events", "cells", "reports", "replies"] as const;
export type QueueName = (typeof QUEUES)[number];
export type JobKind = keyof typeof JOBS;
export type JobPayload<K extends JobKind> = z.infer<(typeof JOBS)[K]["payload"]>;
