import * as z from "zod";

/** A command that checks what a cell pushed, as it is to be run. No value of its variables is in it. */
export const plannedCheck = z.object({
  /** `setup`, or the check's name. */
  name: z.string(),
  command: z.string(),
  /** `.lazarus.yml at a1b2c3d` where the command stands there; null: in lazarus.yaml. */
  source: z.string().nullable(),
  digest: z.string(),
  network: z.union([z.enum(["none", "full"]), z.array(z.string())]),
  limitMs: z.number(),
});
export type PlannedCheck = z.infer<typeof plannedCheck>;

/** How the process of a check ended. */
export const checkEnd = z.object({
  endedAt: z.number(),
  /** Null where it left no exit record. */
  code: z.number().nullable(),
  signal: z.string().nullable(),
  /** Why Lazarus ended it: `over its limit of 10m`; null when it ended by itself. */
  stopped: z.string().nullable(),
  isOverTime: z.boolean(),
  isOutOfMemory: z.boolean(),
  /** The end of its output, redacted; empty where it went well. */
  tail: z.string(),
  refusedHosts: z.array(z.string()),
  leftovers: z.array(z.string()),
});
export type CheckEnd = z.infer<typeof checkEnd>;
