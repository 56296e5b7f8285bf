import * as z from "zod";

/**
 * What a cell's card was last edited to: the hash of its text, and of the same without what its agent says
 * and uses; when (epoch ms) it last got new words of the agent, and when it was last edited.
 */
export const cardShown = z.object({
  text: z.string(),
  calm: z.string(),
  wordsAt: z.number(),
  at: z.number(),
});
export type CardShown = z.infer<typeof cardShown>;

/** A time of a card as it counts at `now`: one that is still to come was before the clock was set back. */
export function pastOrNever(at: number, now: number): number {
  return at > now ? 0 : at;
}
