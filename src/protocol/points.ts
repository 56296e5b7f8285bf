import * as z from "zod";

/** What a review asks for at a place of a diff, as far as its answer depends on the work. */
export const point = z.object({
  n: z.number(),
  /** Empty where it stands at no line. Text of a person. */
  path: z.string(),
  /** In the new file, as of `commit`; 0: at a line of the old one, or at none. */
  line: z.number(),
  /** What was looked at; empty where the forge did not say. */
  commit: z.string(),
});
export type Point = z.infer<typeof point>;

export const VERDICTS = ["done", "declined", "asks", "later"] as const;

/** What an agent says to a point, and what was found of it. */
export const pointAnswer = z.object({
  n: z.number(),
  /** The agent's word; null: it said nothing of this point. */
  verdict: z.enum(VERDICTS).nullable(),
  /** Its words, redacted and cut. */
  words: z.string(),
  /** The commit that it names, where that is one of this turn's. */
  commit: z.string().nullable(),
  /** Whether that commit changes the file of the point; null where nothing is to be told. */
  touches: z.boolean().nullable(),
  /** Where the point's line is now; null: nowhere, or it stood at none. */
  line: z.number().nullable(),
});
export type PointAnswer = z.infer<typeof pointAnswer>;
