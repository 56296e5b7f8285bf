import * as z from "zod";
import { asker } from "./asker.ts";
import { checkEnd, plannedCheck } from "./checks.ts";
import { pointAnswer } from "./points.ts";
import {
  agentBeat,
  givenPrompt,
  givenSecret,
  handle,
  harvest,
  peoplePush,
  processName,
  setupBegun,
  setupEnd,
} from "./shapes.ts";
import { usage } from "./usage.ts";

export const runRef = { cellId: z.string(), run: z.number() };
export const checkRef = { cellId: z.string(), check: z.number() };

/** What runners, and the pit, say to control: see `JOBS`. */
export const REPORT_JOBS = {
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
  /** `faults`: what cannot be run, and why. `trouble`: why none can be. */
  "checks-planned": {
    queue: "reports",
    payload: z.object({
      cellId: z.string(),
      tip: z.string(),
      checks: z.array(plannedCheck),
      faults: z.array(z.object({ name: z.string(), why: z.string() })),
      trouble: z.string().nullable(),
    }),
  },
  "check-started": {
    queue: "reports",
    payload: z.object({ ...checkRef, handle, startedAt: z.number(), limitMs: z.number() }),
  },
  /** It cannot be started, and trying again will not help. */
  "check-refused": { queue: "reports", payload: z.object({ ...checkRef, why: z.string() }) },
  "check-ended": { queue: "reports", payload: z.object({ ...checkRef, end: checkEnd }) },
  /** It cannot be started, and trying again will not help. */
  "run-refused": { queue: "reports", payload: z.object({ ...runRef, why: z.string() }) },
  "run-ended": {
    queue: "reports",
    payload: z.object({
      ...runRef,
      /** Whether a process of this run was ever started: false where it was stopped on its way. */
      began: z.boolean().default(true),
      endedAt: z.number(),
      /** Null where it left no exit record. */
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
  used: { queue: "reports", payload: z.object({ ...runRef, usage }) },
  collected: {
    queue: "reports",
    /** `answers`: to what it was asked; absent: nothing. `packet`: its words for the next agent. */
    payload: z.object({
      ...runRef,
      harvest,
      answers: z.array(pointAnswer).optional(),
      packet: z.string().nullable().optional(),
      usage: usage.optional(),
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
  /** Nothing is at work any more at the spare tree that follows this cell: its user may be a cell's now. */
  "spare-made": { queue: "reports", payload: z.object({ cellId: z.string() }) },
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
} as const;
