import type { Fork } from "../../protocol/shapes.ts";
import type { Git } from "./git.ts";

/**
 * What a push of a cell's work would bring into the target that is a fork's, and nobody of the target has
 * decided about.
 */
export interface Brought {
  /** The last commit that both have; null: they have none in common. */
  readonly since: string | null;
  /** For people: `dev/app brought 3 commits`. */
  readonly words: string;
}

/**
 * What lies between the target's own base and the commit where a cell started; null where that is nothing.
 * `repository` holds both commits.
 */
export async function broughtBy(
  git: Git,
  at: { readonly repository: string; readonly fork: Fork; readonly baseCommit: string },
): Promise<Brought | null> {
  const { repository, fork, baseCommit } = at;
  const ask = (args: readonly string[]) =>
    git({ dir: repository, args, doing: "looking at what a fork brought", tolerant: true });
  const danger = "CI here would run what they say, with its secrets";
  const unknown = {
    since: null,
    words: `commits of ${fork.fullName} come with it, nobody can tell which: ${danger}`,
  };
  if (fork.commit === null) return unknown;
  const common = await ask(["merge-base", fork.commit, baseCommit]);
  const since = common.code === 0 ? common.stdout.trim() : null;
  const counted = await ask([
    "rev-list",
    "--count",
    baseCommit,
    ...(since === null ? [] : [`^${since}`]),
    "--",
  ]);
  const count = Number(counted.stdout.trim());
  if (counted.code !== 0 || !Number.isInteger(count)) return unknown;
  if (count === 0) return null;
  const commits = count === 1 ? "1 commit" : `${count} commits`;
  return { since, words: `${commits} of ${fork.fullName} come with it: ${danger}` };
}

/**
 * The tree without any file, by git's own two formats of hashes: git itself would ask for it on standard
 * input.
 */
export function emptyTree(like: string): string {
  return like.length === 64
    ? "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    : "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
}
