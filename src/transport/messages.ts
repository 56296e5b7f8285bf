import * as z from "zod";
import { runnerFacts, runnerStanding } from "../protocol/runner-facts.ts";
import { givenSecret } from "../protocol/shapes.ts";

const anyJson = z.record(z.string(), z.unknown());
const ref = { row: z.string().max(64), attempt: z.number().int() };
const refs = z.array(z.object(ref)).max(20_000);

/** A right to fetch from one repository, or to push one tip to one branch, for some minutes. */
export const gitPass = z.object({
  use: z.enum(["read", "push"]),
  repository: z.string(),
  /** Of a push. */
  branch: z.string().optional(),
  pass: z.string(),
});
export type GitPass = z.infer<typeof gitPass>;

const directoriesSeen = z.object({
  root: z.string(),
  there: z.array(z.string().max(64)).max(20_000),
  damaged: z.array(z.tuple([z.string().max(64), z.string().max(1_000)])).max(20_000),
  strangers: z.array(z.string().max(1_000)).max(1_000),
});

const failure = z.object({
  code: z.string().nullable(),
  message: z.string(),
  retryable: z.boolean(),
  /** It was ended because control said so. */
  isEnd: z.boolean().default(false),
});
export type WireFailure = z.infer<typeof failure>;

const question = z.discriminatedUnion("what", [
  z.object({ what: z.literal("inventory"), isExpected: z.boolean() }),
  z.object({
    what: z.literal("log"),
    ...{ cellId: z.string(), log: z.string(), maxBytes: z.number() },
    /** What agents of the cell were given. */
    secrets: z.array(givenSecret).default([]),
  }),
]);
export type Question = z.infer<typeof question>;

/** What control tells a runner. */
export const toRunner = z.discriminatedUnion("say", [
  /** Answer to `hello`: from now on this is the epoch. */
  z.object({ say: z.literal("greet") }),
  z.object({
    say: z.literal("welcome"),
    knownIds: z.array(z.string()).nullable(),
    watched: anyJson,
    policy: anyJson,
  }),
  z.object({
    say: z.literal("do"),
    ...ref,
    kind: z.string(),
    key: z.string(),
    lane: z.string(),
    payload: anyJson,
    passes: z.array(gitPass),
    /** A right to hand a seal over, or to fetch one; null: the job needs none. */
    sealPass: z.string().nullable().default(null),
  }),
  z.object({ say: z.literal("end"), ...ref, why: z.string() }),
  z.object({ say: z.literal("forget"), done: refs, reports: z.array(z.string()) }),
  z.object({ say: z.literal("watch"), watched: anyJson }),
  z.object({ say: z.literal("ask"), id: z.string(), question }),
]);
export type HeardByRunner = z.infer<typeof toRunner>;

/** What a runner tells control. */
export const fromRunner = z.discriminatedUnion("say", [
  /** Until it is greeted: nothing follows from this but a greeting. */
  z.object({ say: z.literal("hello") }),
  z.object({ say: z.literal("join"), facts: runnerFacts, standing: runnerStanding }),
  z.object({
    say: z.literal("beat"),
    standing: runnerStanding,
    /** It has been welcomed. */
    isWelcome: z.boolean(),
    inHand: refs,
    done: refs,
    /** `<cell>:<run>`, `<cell>:setup:<run>` and `<cell>:check:<n>` that it watches. */
    watching: z.array(z.string().max(100)).max(20_000),
  }),
  z.object({
    say: z.literal("done"),
    ...ref,
    reports: z.array(anyJson).nullable(),
    failure: failure.nullable(),
  }),
  z.object({ say: z.literal("report"), reports: z.array(anyJson).max(100) }),
  z.object({
    say: z.literal("answer"),
    id: z.string(),
    failure: failure.nullable(),
    seen: directoriesSeen.nullable().default(null),
    excerpt: z.object({ text: z.string(), cut: z.boolean() }).nullable().default(null),
  }),
]);
export type HeardByControl = z.infer<typeof fromRunner>;
