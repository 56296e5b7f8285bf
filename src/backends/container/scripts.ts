/**
 * First process of every container, for `sh -c`: `$1` names of the environment, whose values come as `LZE_1`,
 * `LZE_2` …, `$2` names that shells export by themselves, `$3` KiB of data that each process may have (empty:
 * no such limit), then the command. It sees to it that the environment is the one that was meant (engines and
 * images add to it; PATH alone stays the image's when none is given), and that a signal that ends the command
 * is told from an exit code: the kernel spares a first process most signals.
 *
 * Values travel under other names since the engine's own client is configured by HOME and the like.
 */
export const INIT = `
umask 077
lze_names=$1 lze_unset=$2 lze_data=$3 lze_at=0
shift 3
while IFS= read -r lze_line; do
  lze_line=\${lze_line#export }
  lze_line=\${lze_line#declare -x }
  lze_line=\${lze_line%%=*}
  case $lze_line in
    *[!A-Za-z0-9_]* | '' | [0-9]* | LZE_* | lze_* | PATH) ;;
    *) unset "$lze_line" ;;
  esac
done <<LZE_END
$(export -p)
LZE_END
for lze_name in $lze_names; do
  lze_at=$((lze_at + 1))
  eval "export $lze_name=\\"\\$LZE_$lze_at\\"; unset LZE_$lze_at"
done
trap : HUP INT QUIT TERM USR1 USR2
(
  [ -z "$lze_data" ] || ulimit -d "$lze_data"
  unset $lze_unset
  exec "$@"
)
exit $?
`;

/** What {@link LOOK} ends with: anything else is the engine's word. */
export const LOOKED = { found: 0, missing: 3, noGit: 4, noTmp: 5 } as const;

/**
 * Looks for a command in an image as an agent would find it: `$1` an absolute path or a name. Writes the
 * path, or what is wrong with it; absolute entries of PATH only, so that nothing in a tree is found by
 * accident. Git is asked for because a run's work is taken out with it, and a temporary directory because it
 * is used there: runc gives `/tmp` the mode that it has in the image.
 */
export const LOOK = `
command -v git >/dev/null || exit ${LOOKED.noGit}
look_tmp=$(mktemp -d) || exit ${LOOKED.noTmp}
rmdir "$look_tmp"
look_fault() {
  if [ ! -e "$1" ]; then look_why='does not exist'; return 0; fi
  look_why=
  if [ -d "$1" ]; then look_why='is a directory'
  elif [ ! -f "$1" ]; then look_why='is not a file'
  elif [ ! -x "$1" ]; then look_why='is not executable'
  fi
  [ -n "$look_why" ]
}
case $1 in /*)
  if look_fault "$1"; then printf '%s\\n' "$1 $look_why"; exit ${LOOKED.missing}; fi
  printf '%s\\n' "$1"
  exit 0
esac
look_rest=$PATH: look_first=
while [ -n "$look_rest" ]; do
  look_dir=\${look_rest%%:*}
  look_rest=\${look_rest#*:}
  case $look_dir in /*) ;; *) continue ;; esac
  look_path=\${look_dir%/}/$1
  if ! look_fault "$look_path"; then printf '%s\\n' "$look_path"; exit 0; fi
  [ -e "$look_path" ] && [ -z "$look_first" ] && look_first="$look_path $look_why"
done
printf '%s\\n' "\${look_first:-no $1 on its PATH ($PATH)}"
exit ${LOOKED.missing}
`;

/**
 * TERM for everything in a container but its first process, which ends with the agent. For a shell that the
 * engine puts into it.
 */
export const ASK_ALL = "kill -TERM -1";
