import type { Git } from "./git.ts";
import { MOST_LISTED_BYTES } from "./measure.ts";

/** What stands in a tree under a name. */
export type Kind = "file" | "link" | "submodule";

/** One path that differs between two trees. */
export interface Change {
  /** As git names it; bytes that are no UTF-8 are replaced, so it is for people and patterns only. */
  readonly path: string;
  /** What stood there and what stands there, without what is absent. */
  readonly kinds: readonly Kind[];
  /** Hashes of the objects before and after; null: nothing was there. */
  readonly before: string | null;
  readonly after: string | null;
}

/**
 * Every path that differs between two commits of a repository of ours, by modes and objects.
 * @throws LazarusError `over-limit` where there are more than can be looked through.
 */
export async function changesBetween(
  git: Git,
  { repository, base, tip }: { readonly repository: string; readonly base: string; readonly tip: string },
): Promise<Change[]> {
  const { stdout } = await git({
    dir: repository,
    args: ["diff", "--raw", "--no-abbrev", "-z", "--no-renames", "--no-ext-diff", base, tip, "--"],
    doing: "looking at what a cell made",
    // Each has about a hundred bytes beside its name.
    mostBytes: 2 * MOST_LISTED_BYTES,
  });
  const fields = stdout.split("\0");
  const changes: Change[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = "", newMode = "", before = "", after = ""] = (fields[at] ?? "").slice(1).split(" ");
    changes.push({
      path: fields[at + 1] ?? "",
      kinds: [oldMode, newMode].flatMap((mode) => kindOf(mode) ?? []),
      before: objectOf(before),
      after: objectOf(after),
    });
  }
  return changes;
}

function kindOf(mode: string): Kind | null {
  if (/^0+$/.test(mode)) return null;
  return mode === "120000" ? "link" : mode === "160000" ? "submodule" : "file";
}

function objectOf(hash: string): string | null {
  return /^0+$/.test(hash) ? null : hash;
}
