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

/**
 * What two deliveries held together. Of one comment there is one true delivery: where two do not say the
 * same, somebody forged one, and neither is believed.
 */
export function both(one: Delivered, other: Delivered): Delivered {
  const all = { ...one, ...other };
  for (const [id, first] of Object.entries(one)) {
    const second = other[id];
    if (second === undefined) continue;
    const isDisputed =
      (first.isDisputed ?? false) || (second.isDisputed ?? false) || first.body !== second.body;
    all[id] = {
      body: first.body,
      hadCommand: first.hadCommand || second.hadCommand,
      // No text has this hash.
      issue: first.issue === second.issue ? first.issue : "",
      ...(isDisputed ? { isDisputed } : {}),
    };
  }
  return all;
}
