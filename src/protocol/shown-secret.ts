import * as z from "zod";

/**
 * The value of a variable in an agent's `env` that work shows: its name, the mark of its value, and the
 * commits, shortened.
 */
export const shownSecret = z.object({
  name: z.string(),
  mark: z.string().nullable(),
  commits: z.array(z.string()),
});
export type ShownSecret = z.infer<typeof shownSecret>;

/** `commits 1f0a9c2b3d and 2 more show the value of NODE_ENV, which is a secret (env)`; never the value. */
export function aboutShown({ name, commits }: Pick<ShownSecret, "name" | "commits">): string {
  const [first = "", ...rest] = commits;
  const which = rest.length === 0 ? `commit ${first} shows` : `commits ${first} and ${rest.length} more show`;
  return `${which} the value of ${name}, which is a secret (env)`;
}
