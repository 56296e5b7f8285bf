/**
 * What takes a run's work out of its cell, and leaves the tree ready for the next run: nothing in it is
 * uncommitted then. It runs as the agent would, in the worktree, so whatever the agent planted there (hooks,
 * filters, fsmonitor) gains nothing it did not have. Arguments: mode (`git`, `salvage` or `replace`), base
 * commit, mirror, agent's name, the cell's branch, number of the run, what people pushed to the branch last
 * (empty: nothing). The bundle goes to standard output; what is to be known goes to standard error, a line
 * each: `lazarus: <word>[ <text>]`.
 *
 * `git`: leaves code 3 and `lazarus: unusable <why>` where `.git` cannot be used. An index that cannot be
 * read is made anew. A detached HEAD is put on the cell's branch where that only lags behind. An unfinished
 * merge or rebase is photographed through an index of its own, so that the next run can go on with it; the
 * photograph stays in the cell as `refs/lazarus/wip/<run>`. `salvage`: a repository made afresh outside the
 * tree; the tree's files (no fifos, no links out of it followed) are committed over the base. `replace`: the
 * same, and then that repository takes the place of `.git`, which is set aside as `.git.unusable-<run>`.
 */
export const COLLECT_SCRIPT = `
set -u
umask 077
mode=$1 base=$2 mirror=$3 agent=$4 branch=$5 run=$6 theirs=$7
say() { printf 'lazarus: %s\\n' "$*" >&2; }
unusable() { say "unusable $*"; exit 3; }
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_NO_REPLACE_OBJECTS=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 LC_ALL=C
scratch=$(mktemp -d) || { say "unusable no temporary directory"; exit 4; }
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT HUP
run() {
  git --git-dir="$dir" --work-tree=. -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.bare=false -c core.compression=0 \\
    -c pack.compression=0 -c core.bigFileThreshold=1m -c commit.gpgSign=false -c gc.auto=0 -c maintenance.auto=false -c core.safecrlf=false \\
    -c advice.addEmbeddedRepo=false -c pack.window=0 "$@"
}
# Everything that can be added; what git refuses as a whole (a repository without commits, a file nobody may read) is left out and said.
add_all() {
  run add -A 2>"$scratch/why" && return 0
  run add -A --ignore-errors 2>/dev/null && return 0
  run ls-files -z --cached --others --exclude-standard | run update-index -z --add --remove --stdin 2>/dev/null
  say "partial $(grep -a -m1 -E '^(error|fatal)' "$scratch/why" | tr -dc '[:print:]' | cut -c1-200)"
}
bundle() {
  tip=$(run rev-parse --verify --quiet "$1^{commit}") || exit 5
  if [ "$tip" = "$base" ]; then say nothing; exit 0; fi
  if run merge-base --is-ancestor "$tip" "$base"; then say behind; exit 0; fi
  run update-ref refs/lazarus/tip "$tip" || exit 5
  # What people pushed came from the forge, and is taken from there.
  known=
  if [ -n "$theirs" ] && run merge-base --is-ancestor "$theirs" "$tip"; then known=^$theirs; fi
  if [ "$tip" = "$theirs" ]; then say theirs; exit 0; fi
  say "tip $tip"
  run bundle create --quiet - refs/lazarus/tip "^$base" $known || exit 5
}

# The cell's branch at what was saved, in a repository that the next run can use. Killed half-way it is done again: what is set aside stays aside.
replace() {
  fresh=.git.lazarus-new
  rm -rf "$fresh" && cp -R "$dir" "$fresh" || return 0
  dir=$fresh
  run update-ref "refs/heads/$branch" "$1" && run symbolic-ref HEAD "refs/heads/$branch" && run read-tree "$1" || return 0
  run config core.bare false || return 0
  aside=.git.unusable-$run
  while [ -e "$aside" ] || [ -L "$aside" ]; do aside=$aside.1; done
  if [ -e .git ] || [ -L .git ]; then mv .git "$aside" || return 0; fi
  mv "$fresh" .git
}

if [ "$mode" != git ]; then
  dir=$scratch/salvage
  git init --quiet --bare --template= "$dir" || exit 5
  printf '%s\\n' "$mirror/objects" >"$dir/objects/info/alternates"
  mkdir -p "$dir/info"
  printf '/.git.unusable-*\\n/.git.lazarus-new\\n' >"$dir/info/exclude"
  onto=\${theirs:-$base}
  run read-tree "$onto" || exit 5
  run ls-files -z --cached --others --exclude-standard | run update-index -z --add --remove --stdin 2>"$scratch/why" ||
    say "partial $(tr -dc '[:print:]' <"$scratch/why" | cut -c1-200)"
  tree=$(run write-tree) || exit 5
  if [ "$tree" = "$(run rev-parse "$onto^{tree}")" ]; then
    tip=$onto
  else
    say uncommitted
    tip=$(run commit-tree "$tree" -p "$onto" -m "wip: left by $agent, whose .git was unusable") || exit 5
  fi
  (bundle "$tip") || exit 5
  if [ "$mode" = replace ]; then replace "$tip" >/dev/null 2>&1; fi
  exit 0
fi

dir=.git
[ ! -L .git ] || unusable "it is a link"
[ -e .git ] || unusable "it is gone"
[ ! -f .git ] || unusable "it is a file"
[ -d .git ] || unusable "it is no directory"
find .git -name '*.lock' -type f -exec rm -f {} + 2>/dev/null
run rev-parse --verify --quiet "$base^{commit}" >/dev/null || unusable "it does not hold the base commit"
run rev-parse --verify --quiet 'HEAD^{commit}' >/dev/null || unusable "its HEAD leads to no commit"

run ls-files --stage >/dev/null 2>&1 || { rm -rf .git/index && run read-tree HEAD || unusable "its index cannot be read"; }

unfinished=
if [ -e .git/rebase-merge ] || [ -e .git/rebase-apply ]; then unfinished=rebase
elif [ -e .git/MERGE_HEAD ]; then unfinished=merge
elif [ -e .git/CHERRY_PICK_HEAD ]; then unfinished=cherry-pick
elif [ -e .git/REVERT_HEAD ]; then unfinished=revert; fi

if [ -n "$unfinished" ]; then
  say "unfinished $unfinished"
  GIT_INDEX_FILE=$scratch/index; export GIT_INDEX_FILE
  run read-tree HEAD || unusable "its HEAD cannot be read"
  add_all
  tree=$(run write-tree) || unusable "its tree cannot be written"
  unset GIT_INDEX_FILE
  if [ "$tree" = "$(run rev-parse 'HEAD^{tree}')" ]; then bundle HEAD; exit 0; fi
  say uncommitted
  tip=$(run commit-tree "$tree" -p HEAD -m "wip: $unfinished left unfinished by $agent") || exit 5
  run update-ref "refs/lazarus/wip/$run" "$tip" || exit 5
  bundle "$tip"
  exit 0
fi

add_all
if ! run diff --cached --quiet --no-ext-diff --ignore-submodules=none HEAD; then
  run commit --quiet --no-verify --no-gpg-sign --cleanup=verbatim -m "wip: left uncommitted by $agent" || unusable "what was uncommitted cannot be committed"
fi
# Also where an attempt that was killed has committed it.
[ "$(run log -1 --format=%s HEAD)" != "wip: left uncommitted by $agent" ] || say uncommitted
if ! run symbolic-ref --quiet HEAD >/dev/null; then
  if ! run rev-parse --verify --quiet "refs/heads/$branch" >/dev/null || run merge-base --is-ancestor "refs/heads/$branch" HEAD; then
    run update-ref "refs/heads/$branch" HEAD && run symbolic-ref HEAD "refs/heads/$branch"
  else
    run update-ref "refs/lazarus/wip/$run" HEAD
  fi
fi
bundle HEAD
`;

/**
 * What the script said, as far as it is one of the lines it may say. The agent could have written any of it.
 */
export interface Said {
  readonly tip: string | null;
  readonly nothing: boolean;
  readonly behind: boolean;
  /** HEAD is what people pushed last. */
  readonly theirs: boolean;
  readonly uncommitted: boolean;
  readonly unfinished: string | null;
  readonly unusable: string | null;
  readonly partial: string | null;
}

/** Reads the script's standard error strictly: unknown lines are dropped, texts cut. */
export function parseSaid(stderr: string): Said {
  const words = new Map<string, string>();
  for (const line of stderr.split("\n")) {
    const match =
      /^lazarus: (tip|nothing|behind|theirs|uncommitted|unfinished|unusable|partial)(?: ([\x20-\x7e]{0,200}))?$/.exec(
        line,
      );
    if (match?.[1] !== undefined) words.set(match[1], (match[2] ?? "").trim());
  }
  const tip = words.get("tip") ?? "";
  const unfinished = words.get("unfinished") ?? "";
  return {
    tip: /^[0-9a-f]{40,64}$/.test(tip) ? tip : null,
    nothing: words.has("nothing"),
    behind: words.has("behind"),
    theirs: words.has("theirs"),
    uncommitted: words.has("uncommitted"),
    unfinished: ["merge", "rebase", "cherry-pick", "revert"].includes(unfinished) ? unfinished : null,
    unusable: words.get("unusable") ?? null,
    partial: words.get("partial") ?? null,
  };
}
