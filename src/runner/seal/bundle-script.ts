/**
 * What bundles everything a cell's repository holds and the mirror does not have by itself: HEAD, every
 * branch, tag, stash and other ref, back to the base. It runs as the agent would, in the worktree, so
 * whatever the agent planted there gains nothing it did not have. Arguments: base commit, mirror. The bundle
 * goes to standard output; `lazarus: nothing` or `lazarus: unusable <why>` to standard error where there is
 * none.
 */
export const SEAL_SCRIPT = `
set -u
umask 077
base=$1 mirror=$2
say() { printf 'lazarus: %s\\n' "$*" >&2; }
unusable() { say "unusable $*"; exit 3; }
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_NO_REPLACE_OBJECTS=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 LC_ALL=C
scratch=$(mktemp -d) || { say "unusable no temporary directory"; exit 4; }
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP
[ ! -L .git ] || unusable "it is a link"
[ -e .git ] || unusable "it is gone"
[ -d .git ] || unusable "it is no directory"
run() {
  git --git-dir=.git --work-tree=. -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false -c core.bigFileThreshold=1m \\
    -c gc.auto=0 -c maintenance.auto=false -c pack.window=0 "$@"
}
run rev-parse --verify --quiet "$base^{commit}" >/dev/null || unusable "it does not hold the base commit"
git --git-dir="$mirror" for-each-ref --format='%(objectname)' >"$scratch/theirs" 2>/dev/null
run for-each-ref --format='%(objectname) %(refname)' >"$scratch/refs" 2>/dev/null
# What the forge has under that very hash is not ours; a branch always is.
awk -v theirs="$scratch/theirs" 'FILENAME == theirs { known[$1] = 1; next }
  $2 ~ /^refs\\/(remotes|tags)\\// && ($1 in known) { next }
  { print $2 }' "$scratch/theirs" "$scratch/refs" >"$scratch/want" || unusable "its refs cannot be read"
if run rev-parse --verify --quiet 'HEAD^{commit}' >/dev/null; then echo HEAD >>"$scratch/want"; fi
echo "^$base" >>"$scratch/want"
first=$(run rev-list -n 1 --stdin <"$scratch/want" 2>"$scratch/why") || unusable "$(grep -a -m1 -E '^(error|fatal)' "$scratch/why" | tr -dc '[:print:]' | cut -c1-150)"
[ -n "$first" ] || { say nothing; exit 0; }
run bundle create --quiet - --stdin <"$scratch/want" 2>"$scratch/why" || unusable "$(grep -a -m1 -E '^(error|fatal)' "$scratch/why" | tr -dc '[:print:]' | cut -c1-150)"
`;

/**
 * Why there is no bundle of the whole repository: it has nothing of its own, or cannot be used. The agent
 * could have written any of it.
 */
export function whyNoBundle(stderr: string): string | null {
  const found = /^lazarus: (nothing|unusable)(?: ([\x20-\x7e]{0,200}))?$/m.exec(stderr);
  if (found === null) return null;
  return found[1] === "nothing" ? "it has no commits of its own" : `.git was unusable (${found[2] ?? ""})`;
}
