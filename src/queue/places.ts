import type { JobKind } from "../protocol/jobs.ts";

/**
 * Kinds that share places in their queue, so that a forge which hangs at one kind of call holds up no other:
 * whoever waits for a reaction or an answer waits for no draft, and no card for one either.
 */
const SHARED: readonly { readonly kinds: readonly JobKind[]; readonly most: number }[] = [
  { kinds: ["draft", "merge", "unpublish"], most: 3 },
  {
    kinds: ["draft", "merge", "unpublish", "card", "proposal", "review", "answers", "statuses"],
    most: 5,
  },
];

/** Kinds of which no further one is to be begun, by how many of each are at work. */
export function fullKinds(atWork: (kind: JobKind) => number): JobKind[] {
  return SHARED.filter(
    ({ kinds, most }) => kinds.reduce((sum, kind) => sum + atWork(kind), 0) >= most,
  ).flatMap(({ kinds }) => kinds);
}
