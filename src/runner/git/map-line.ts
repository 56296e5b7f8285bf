/** A stretch of a diff without context: so many lines from `oldFrom` became so many from `newFrom`. */
export interface Hunk {
  readonly oldFrom: number;
  readonly oldCount: number;
  readonly newFrom: number;
  readonly newCount: number;
}

/**
 * Reads what `git diff -U0` prints of one file; null where the file is gone.
 * @see https://git-scm.com/docs/diff-format: a side without lines is named by the line before it.
 */
export function readHunks(diff: string): Hunk[] | null {
  if (/^deleted file mode /m.test(diff)) return null;
  return [...diff.matchAll(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/gm)].map((match) => {
    const [, oldFrom = "0", oldCount = "1", newFrom = "0", newCount = "1"] = match;
    return {
      ...{ oldFrom: Number(oldFrom), oldCount: Number(oldCount) },
      ...{ newFrom: Number(newFrom), newCount: Number(newCount) },
    };
  });
}

/**
 * Where a line is after a change: moved by what came before it; one that was itself changed is the line that
 * took its place, and one that is gone the line before it. Lines count from 1.
 */
export function mapLine(line: number, hunks: readonly Hunk[]): number {
  let moved = 0;
  for (const { oldFrom, oldCount, newFrom, newCount } of hunks) {
    // What was put in stands after the line that the old side names.
    const first = oldCount === 0 ? oldFrom + 1 : oldFrom;
    if (line < first) break;
    if (line < first + oldCount) {
      const last = newCount === 0 ? newFrom : newFrom + newCount - 1;
      return Math.max(1, Math.min(newFrom + (line - first), last));
    }
    moved += newCount - oldCount;
  }
  return line + moved;
}
