import * as z from "zod";
import { repository } from "./shapes.ts";

/** A command in a comment or a review on the forge. */
export const forgeAsker = z.object({
  via: z.literal("forge"),
  repository,
  number: z.number(),
  /** A comment, a review, or a comment at a line of a diff. */
  source: z.enum(["comment", "review", "line"]),
  sourceId: z.number(),
  /** Of a review: the comment that it is in the conversation, which bears reactions; absent: none does. */
  reactTo: z.number().optional(),
  /** Index of the command in its comment. */
  index: z.number(),
  person: z.object({ id: z.number(), login: z.string() }),
});
export type ForgeAsker = z.infer<typeof forgeAsker>;

/** A button of the dashboard. */
export const webAsker = z.object({
  via: z.literal("web"),
  request: z.string(),
  /** `id` null: the operator, who came in by a one-time link. */
  person: z.object({ id: z.number().nullable(), login: z.string() }),
  /** The thread of the cell that is meant; null: a new cell is. */
  thread: z.object({ repository, number: z.number() }).nullable(),
  /** Why, in that person's words. */
  why: z.string().nullable(),
});
export type WebAsker = z.infer<typeof webAsker>;

/**
 * Who waits for an answer: a line of the command line or a page (`request`), or a comment on the forge.
 */
export const asker = z.discriminatedUnion("via", [
  z.object({ via: z.literal("cli"), request: z.string(), operator: z.string() }),
  forgeAsker,
  webAsker,
]);
export type Asker = z.infer<typeof asker>;
