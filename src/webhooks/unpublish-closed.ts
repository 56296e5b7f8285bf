import type { Registry } from "../cells/registry/registry.ts";
import type { Steps } from "../cells/steps/steps.ts";
import type { Reading } from "./read-thread.ts";

/** A draft that is closed needs its branch no more. Each closing is looked at once. */
export function unpublishClosed(
  { repository, number, issue }: Reading,
  deps: { readonly registry: Registry; readonly steps: Pick<Steps, "unpublish"> },
): void {
  if (issue.isOpen) return;
  for (const cell of deps.registry.ofPullRequest(repository, number))
    deps.steps.unpublish(cell, `closed:${issue.closedAt ?? 0}`);
}
