/**
 * What takes into a cell's tree what people pushed to its branch, and nothing else: it moves HEAD forward, or
 * leaves everything as it is. It runs as the agent would, in the worktree, so whatever the agent planted
 * there (hooks, filters, fsmonitor) gains nothing it did not have. Argument: their tip, which the mirror
 * holds. What came of it goes to standard error: `lazarus: <word>[ <text>]`. The tip stays in the cell as
 * `refs/lazarus/people`, for the agent to merge where it could not be taken.
 *
 * `there`: HEAD holds it. `taken`: HEAD was moved to it. `diverged`: the agent has commits that they have
 * not. `unfinished`: a merge or rebase is under way. `blocked`: something uncommitted is in the way.
 * `unusable`: the repository cannot be asked.
 */
export const TAKE_IN_SCRIPT = `
set -u
umask 077
theirs=$1
say() { printf 'lazarus: %s\\n' "$*" >&2; }
unusable() { say "unusable $*"; exit 0; }
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_NO_REPLACE_OBJECTS=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 LC_ALL=C
scratch=$(mktemp -d) || unusable "no temporary directory"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP
run() {
  git --git-dir=.git --work-tree=. -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false -c commit.gpgSign=false \\
    -c gc.auto=0 -c maintenance.auto=false -c core.safecrlf=false -c advice.addEmbeddedRepo=false -c merge.verifySignatures=false "$@"
}
[ ! -L .git ] || unusable "it is a link"
[ -d .git ] || unusable "it is no directory"
# Nobody else is in there: no lock in it is anybody's.
find .git -name '*.lock' -type f -exec rm -f {} + 2>/dev/null
run rev-parse --verify --quiet 'HEAD^{commit}' >/dev/null || unusable "its HEAD leads to no commit"
run cat-file -e "$theirs^{commit}" 2>/dev/null || unusable "it cannot see what was pushed"
run update-ref refs/lazarus/people "$theirs" || unusable "its refs cannot be written"
if run merge-base --is-ancestor "$theirs" HEAD; then say there; exit 0; fi
run merge-base --is-ancestor HEAD "$theirs" || { say diverged; exit 0; }
for one in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD; do
  if [ -e ".git/$one" ]; then say unfinished; exit 0; fi
done
if run merge --ff-only --quiet --no-verify "$theirs" >/dev/null 2>"$scratch/why"; then say taken; exit 0; fi
# An attempt that was killed half-way has left some of their files: where nothing differs from HEAD but what is theirs, nothing is lost.
same() {
  GIT_INDEX_FILE=$scratch/index
  export GIT_INDEX_FILE
  run read-tree HEAD && run add -A 2>/dev/null && tree=$(run write-tree)
  failed=$?
  unset GIT_INDEX_FILE
  [ "$failed" = 0 ] || return 1
  run diff-tree -r --no-renames --name-only HEAD "$tree" >"$scratch/ours" || return 1
  run diff-tree -r --no-renames --name-only "$tree" "$theirs" >"$scratch/other" || return 1
  ! grep -q -x -F -f "$scratch/ours" "$scratch/other"
}
if same && run reset --hard --quiet "$theirs" 2>>"$scratch/why"; then say taken; exit 0; fi
say "blocked $(grep -a -m1 -E '^(error|fatal)' "$scratch/why" | tr -dc '[:print:]' | cut -c1-150)"
`;

const WORDS = ["there", "taken", "diverged", "unfinished", "blocked", "unusable"] as const;
export type TakeIn = (typeof WORDS)[number];

/**
 * What the script said last; null where it said nothing that it may say. The agent could have written any of
 * it.
 */
export function parseTakeIn(stderr: string): { readonly word: TakeIn; readonly text: string } | null {
  const said = [...stderr.matchAll(/^lazarus: (\w+)(?: ([\x20-\x7e]{0,200}))?$/gm)].at(-1);
  const word = WORDS.find((one) => one === said?.[1]);
  return word === undefined ? null : { word, text: (said?.[2] ?? "").trim() };
}
