import type { Review } from "../gitea/port.ts";

/**
 * Whether what a review says is not meant any more. Forges dismiss a person's earlier reviews with each later
 * one: an earlier request for changes still stands where the later one is a request as well.
 */
export function isTakenBack(review: Review, all: readonly Review[]): boolean {
  if (!review.isDismissed) return false;
  const later = all.findLast(
    (one) => one.author.id === review.author.id && !one.isDismissed && isVerdict(one),
  );
  return later === undefined || later.id < review.id || later.state === "approved";
}

/**
 * The last approval, or request for changes, of each person, where it was not taken back. What the forge
 * itself makes of it (`isOfficial`) is no matter: asking somebody to look again ends that.
 */
export function lastWords(all: readonly Review[]): Map<number, Review> {
  const last = new Map<number, Review>();
  for (const review of all) if (!review.isDismissed && isVerdict(review)) last.set(review.author.id, review);
  return last;
}

function isVerdict({ state }: Review): boolean {
  return state === "approved" || state === "changes-requested";
}
