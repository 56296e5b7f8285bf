import * as z from "zod";
import { repository } from "./shapes.ts";

/** What control posts on the forge: see `JOBS`. */
export const REPLY_JOBS = {
  card: { queue: "replies", payload: z.object({ cellId: z.string() }) },
  /** What is in the way of a proposal that has no cell yet. */
  proposal: { queue: "replies", payload: z.object({ repository, number: z.number() }) },
  react: {
    queue: "replies",
    payload: z.object({
      repository,
      commentId: z.number(),
      reaction: z.enum(["eyes", "rocket", "confused"]),
    }),
  },
  comment: {
    queue: "replies",
    payload: z.object({
      repository,
      number: z.number(),
      /**
       * First line of the comment is `<!-- lazarus:<marker> -->`: what is looked for before it is posted
       * again.
       */
      marker: z.string(),
      text: z.string(),
    }),
  },
  draft: { queue: "replies", payload: z.object({ cellId: z.string() }) },
  /** Looks whether an archived cell's branch is needed no more; then a runner deletes it. */
  unpublish: { queue: "replies", payload: z.object({ cellId: z.string() }) },
  /**
   * `again`: a reviewer whose points were answered; absent: whoever asked for the cell. `isOver`: nobody is
   * asked any more.
   */
  review: {
    queue: "replies",
    payload: z.object({
      cellId: z.string(),
      again: z.string().optional(),
      isOver: z.boolean().optional(),
    }),
  },
  /** A closing cell's pull request is merged at this tip, and at no other. */
  merge: { queue: "replies", payload: z.object({ cellId: z.string(), tip: z.string() }) },
  /** How the checks of a cell stand, shown at the commit on the forge. */
  statuses: { queue: "replies", payload: z.object({ cellId: z.string() }) },
  /** What an agent answered to the points of one turn. */
  answers: { queue: "replies", payload: z.object({ cellId: z.string(), turn: z.number() }) },
} as const;
