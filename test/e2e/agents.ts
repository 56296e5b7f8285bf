/** Stand where coding agents would: each is a small shell script that does one thing an agent might do. */
export const AGENTS: Readonly<Record<string, string>> = {
  /** Two commits, something it forgot to commit, and a report. */
  allegro: `set -eu
env | sort > "$LAZARUS_ARTIFACTS/env.txt"
cat "$LAZARUS_BRIEF" > "$LAZARUS_ARTIFACTS/brief-seen.md"
echo "allegro was here" > made.txt
git add made.txt
git commit --quiet -m "parser: accept empty input"
echo "more, run $(git rev-list --count HEAD)" >> made.txt
git commit --quiet --all -m "parser: say more"
echo "not committed" > "left-$(git rev-list --count HEAD).txt"
printf 'It works now. Ask @dev.\\n\\nFixes #1\\n' > "$LAZARUS_ARTIFACTS/reports/report.md"
echo "allegro is ready"`,

  /** Commits once a file \`go\` lies in its artifacts. */
  patient: `set -eu
echo $$ > "$LAZARUS_ARTIFACTS/pid"
echo "patient waits"
until [ -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.05; done
rm "$LAZARUS_ARTIFACTS/go"
echo "patience $(git rev-list --count HEAD)" > patience.txt
git add patience.txt
git commit --quiet -m "be patient"`,

  /** Work first, then it never ends by itself. */
  endless: `set -eu
echo "so far" > part.txt
git add part.txt
git commit --quiet -m "a part of it"
echo $$ > "$LAZARUS_ARTIFACTS/pid"
while :; do sleep 0.2; done`,

  lazy: 'echo "nothing to do"',
  broken: 'echo "loading the model"; echo "out of luck: @dev" >&2; exit 3',
  halfway: 'echo half > half.txt; git add half.txt; git commit --quiet -m "one half"; exit 1',

  /** Links out of the cell, and directories that nobody may write. */
  linker: `set -eu
outside="$(dirname "$0")/../outside"
ln -s "$outside" out
ln -s "$outside/keep.txt" "$LAZARUS_ARTIFACTS/keep"
ln -s "$outside" "$HOME/outside"
mkdir -p "$HOME/cache/mod"
echo module > "$HOME/cache/mod/file"
chmod -R a-w "$HOME/cache"
git add out
git commit --quiet -m "link"`,
};
