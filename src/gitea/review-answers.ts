import { z } from "zod";
import { author, comment, flag, text, time } from "./answers.ts";
import type { LineComment, Review } from "./port.ts";

/** What of an answer about reviews is believed: see `answers.ts`. */

const count = z
  .number()
  .int()
  .nullish()
  .transform((value) => Math.max(0, value ?? 0));

/** @see Gitea services/convert/pull_review.go: `position` is a line of the new file, not of the diff. */
export const lineComments = z
  .array(
    z
      .object({
        path: text,
        position: count,
        original_position: count,
        diff_hunk: text,
        resolver: z.unknown(),
      })
      .loose()
      .transform((seen, context): LineComment => {
        const parsed = comment.safeParse(seen);
        if (!parsed.success) {
          context.addIssue({ code: "custom", message: parsed.error.message });
          return z.NEVER;
        }
        const { path, position: line, original_position: oldLine, diff_hunk: hunk, resolver } = seen;
        return { ...parsed.data, path, line, oldLine, hunk, isResolved: resolver != null };
      }),
  )
  .nullable()
  .transform((list) => list ?? []);

const REVIEW_STATES: Readonly<Record<string, Review["state"]>> = {
  APPROVED: "approved",
  REQUEST_CHANGES: "changes-requested",
  COMMENT: "comment",
};

const review = z
  .object({
    id: z.number().int(),
    body: text,
    user: author,
    state: text,
    official: flag,
    stale: flag,
    dismissed: flag,
    submitted_at: time,
    commit_id: text,
    html_url: text,
    comments_count: z.number().int().nullish(),
  })
  .transform((seen): Review | null => {
    // A draft nobody submitted, and a review that was only asked for.
    if (seen.state === "PENDING" || seen.state === "REQUEST_REVIEW") return null;
    return {
      id: seen.id,
      commentId: commentIn(seen.html_url),
      lineComments: seen.comments_count ?? 0,
      body: seen.body,
      author: seen.user,
      state: REVIEW_STATES[seen.state] ?? "other",
      isOfficial: seen.official && !seen.dismissed,
      isDismissed: seen.dismissed,
      isStale: seen.stale,
      submittedAt: seen.submitted_at,
      commit: seen.commit_id,
    };
  });

function commentIn(url: string): number | null {
  const id = /#issuecomment-(\d{1,15})$/.exec(url)?.[1];
  return id === undefined ? null : Number(id);
}

/** Reviews that were begun and not submitted: the forge shows them to their authors alone. */
export const pendingReviews = z
  .array(z.object({ id: z.number().int(), user: author, state: text }))
  .nullable()
  .transform((list) => (list ?? []).filter((one) => one.state === "PENDING"));

export const reviews = z
  .array(review)
  .nullable()
  .transform((list) => list ?? []);
