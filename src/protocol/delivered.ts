import * as z from "zod";

/**
 * Per comment id, what its `created` delivery held: SHA-256 of the comment's body, whether that text held a
 * command, SHA-256 of the issue's text. `isDisputed`: two deliveries of it do not say the same.
 */
export const delivered = z.record(
  z.string(),
  z.object({
    body: z.string(),
    hadCommand: z.boolean(),
    issue: z.string(),
    isDisputed: z.boolean().optional(),
  }),
);
export type Delivered = z.infer<typeof delivered>;
