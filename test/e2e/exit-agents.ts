import { runGit, withClone } from "./git-client.ts";
import type { Stage } from "./stage.ts";

/** Counts its runs in `n`, and writes down how it found the tree. */
const COUNTED = `set -eu
n=$(cat "$LAZARUS_ARTIFACTS/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "$LAZARUS_ARTIFACTS/n"
git status --porcelain > "$LAZARUS_ARTIFACTS/found-$n"
echo "run $n" > "run-$n.txt"; echo "run $n" >> all.txt`;
/** Each ends in its own way. */
export const EXIT_AGENTS = {
  /** Crashes twice with nothing committed, then is done. */
  third: `${COUNTED}
[ $n -ge 3 ] || exit 3
git add -A; git commit --quiet -m "done at last"`,
  never: `${COUNTED}
exit 3`,
  /** Over its limit once. */
  limited: `${COUNTED}
if [ $n = 1 ]; then echo "Error: rate limit reached. Please try again in 2s." >&2; exit 1; fi
git add -A; git commit --quiet -m "after the limit"`,
  unknown: 'echo "Invalid API key. Please run login" >&2; exit 1',
  asks: `echo half > half.txt; printf 'Which parser?\\n@lead fixes #1\\n' > "$LAZARUS_ARTIFACTS/question.md"`,
  /** Its first run never ends by itself. */
  killed: `${COUNTED}
echo $$ > "$LAZARUS_ARTIFACTS/pid"
while [ $n = 1 ]; do sleep 0.05; done
git add -A; git commit --quiet -m "after it was killed"`,
};

/** What the draft that a card names holds: its commits above `main`, newest first, and its files. */
export async function draftOf(stage: Stage, card: string): Promise<{ subjects: string[]; files: string[] }> {
  const number = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  const { head } = await stage.server.pullRequest(stage.repo, number);
  let found = { subjects: [] as string[], files: [] as string[] };
  await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    await runGit(dir, stage.dev, ["fetch", "--quiet", "origin", head.sha]);
    const log = await runGit(dir, null, ["log", "--format=%an: %s", `origin/main..${head.sha}`]);
    const tree = await runGit(dir, null, ["ls-tree", "--name-only", head.sha]);
    found = { subjects: log.stdout.trim().split("\n"), files: tree.stdout.trim().split("\n") };
  });
  return found;
}
