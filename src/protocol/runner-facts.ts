import * as z from "zod";

/** How control and runners of one make speak. Another number: no new cells go there. */
export const PROTOCOL = 1;

/** An agent as a runner can run it: no secret, and no path. */
const agentFacts = z.object({
  name: z.string().max(64),
  preset: z.string().max(64).nullable(),
  backend: z.enum(["process", "sandbox", "container"]),
  network: z.union([z.enum(["none", "full"]), z.array(z.string().max(300)).max(1_000)]),
  /** Why it cannot be started there; null: it can. */
  unavailable: z.string().max(2_000).nullable(),
  hasCoAuthor: z.boolean(),
  costUsd: z.number(),
  tokens: z.number(),
  runMs: z.number(),
});

/** What a runner is like: told when it joins. */
export const runnerFacts = z.object({
  version: z.string().max(64),
  protocol: z.number(),
  bootId: z.string().max(128),
  kinds: z.array(z.string().max(64)).max(200),
  labels: z.array(z.string().max(64)).max(100),
  slots: z.number().int(),
  beatMs: z.number(),
  agents: z.array(agentFacts).max(200),
});
export type RunnerFacts = z.infer<typeof runnerFacts>;

/** How it stands: told with each sign of life. */
export const runnerStanding = z.object({
  /** Epoch ms there. */
  now: z.number(),
  /** Why no new cell should go there, such as a full disk; null: nothing stands in the way. */
  full: z.string().max(1_000).nullable(),
  freeBytes: z.number(),
  /** Ids of the repositories that it has a mirror of. */
  mirrors: z.array(z.number()).max(50_000),
  /** Ids of the repositories that a checked-out tree waits for there. */
  trees: z.array(z.number()).max(50_000).default([]),
  cells: z.number().int(),
});
export type RunnerStanding = z.infer<typeof runnerStanding>;
