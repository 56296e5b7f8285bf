import * as z from "zod";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";

/** What control's own file says and holds on every runner. */
export type Policy = Pick<Config, "publish" | "checks">;

const granted = z.object({
  run: z.string().nullable(),
  network: z.union([z.enum(["none", "full"]), z.array(z.string())]),
  limitMs: z.number(),
  set: z.record(z.string(), z.string()),
});
const shape = z.object({
  publish: z.object({
    skipCi: z.boolean(),
    maxFileBytes: z.number(),
    protected: z.array(z.string()),
    prune: z.boolean(),
  }),
  checks: z.array(
    z.object({
      pattern: z.string(),
      from: z.enum(["here", "branch"]),
      setup: granted.nullable(),
      checks: z.array(z.tuple([z.string(), granted])).transform((pairs) => new Map(pairs)),
      others: granted,
    }),
  ),
});

/** As it crosses. */
export function writePolicy({ publish, checks }: Policy): object {
  return { publish, checks: checks.map((one) => ({ ...one, checks: [...one.checks] })) };
}

/** @throws LazarusError `internal` where control is of a version that says it otherwise. */
export function readPolicy(written: Readonly<Record<string, unknown>>): Policy {
  const parsed = shape.safeParse(written);
  if (parsed.success) return parsed.data;
  throw new LazarusError(
    "internal",
    "control says what holds here in a shape that this version does not know: upgrade this runner",
    {
      cause: parsed.error,
    },
  );
}
