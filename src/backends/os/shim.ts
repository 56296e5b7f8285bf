import { quoted, SCRIPT_FD } from "./shell-text.ts";

/**
 * The letter for the number of processes is `u` in bash and busybox, `p` in dash, where bash has something
 * else.
 */
const SET_LIMITS = `for lzs_limit in $lzs_limits; do
    lzs_value=\${lzs_limit#*:} lzs_limit=\${lzs_limit%%:*}
    ulimit -"$lzs_limit" "$lzs_value" || [ "$lzs_limit" != u ] || ulimit -p "$lzs_value"
  done`;

/**
 * Agents are the first to go when the machine has no more memory, and never Lazarus. Raising it needs no
 * right; only root could lower it again.
 */
const GOES_FIRST = "{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null || :";

/** Of whatever becomes an agent or its child: lines that come before all others. */
export function firstLines(enter: string): string {
  return `${enter}${GOES_FIRST}`;
}

/** What the shim of a run writes down and sets. */
export interface ShimFacts {
  readonly stateDir: string;
  readonly run: number;
  /** First and last lines of run.json. */
  readonly first: string;
  readonly last: string;
  /** `d:1024 n:256`. */
  readonly limits: string;
  /** Names that the shell itself puts into the environment. */
  readonly unset: string;
  /** By which it enters its control group. */
  readonly enter: string;
}

/**
 * The tiny parent of every agent, a script whose last lines, run in a child, are `command`. All of it is read
 * before any is run. Names that might be in the agent's environment are not used as variables: assigning to
 * one would change what the agent sees.
 *
 * It needs nothing but POSIX sh, mv, rm and date. It leaves with 0 when another shim had the run, with 73
 * when it could not write.
 */
export function shimScript(facts: ShimFacts, command: string): string {
  return `{
exec ${SCRIPT_FD}<&-
umask 077
exec 3>&2 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2
lzs_dir=${quoted(facts.stateDir)} lzs_run=${facts.run} lzs_limits=${quoted(facts.limits)}
lzs_first=${quoted(facts.first)}
lzs_last=${quoted(facts.last)}
lzs_lock=$lzs_dir/run-$lzs_run.lock
lzs_path=$PATH
PATH=/usr/bin:/bin:$PATH
${SHIM_BEFORE}
(
  ${SET_LIMITS}
  PATH=$lzs_path
  unset ${facts.unset}
  exec 2>&3 3>&-
  ${firstLines(facts.enter)}
${command}
)
${SHIM_AFTER}
exit
}
`;
}

const SHIM_BEFORE = `lzs_write() {
  printf '%s\\n' "$2" >"$lzs_dir/.$1.$$" || return 1
  sync "$lzs_dir/.$1.$$" || :
  mv -f "$lzs_dir/.$1.$$" "$lzs_dir/$1"
}
lzs_fail() {
  printf 'lazarus: could not write %s in %s, the agent was not started\\n' "$1" "$lzs_dir" >&3
  rm -f "$lzs_lock"
  exit 73
}
lzs_identify() {
  IFS= read -r lzs_stat </proc/$$/stat
  IFS= read -r lzs_boot </proc/sys/kernel/random/boot_id
  set -- \${lzs_stat##*)}
  lzs_ids="  \\"pid\\": $$,
  \\"start_ticks\\": \${20},
  \\"boot_id\\": \\"$lzs_boot\\",
  \\"group\\": $3,
  \\"session\\": $4"
}
lzs_now() {
  lzs_at=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
  case $lzs_at in
    *[!0-9TZ:.-]* | '') lzs_at=$(date -u +%Y-%m-%dT%H:%M:%S).000Z ;;
  esac
}

set -C
if ! true >"$lzs_lock"; then
  [ -e "$lzs_lock" ] && exit 0
  lzs_fail "run-$lzs_run.lock"
fi
set +C
printf '%s\\n' "$$" >"$lzs_lock" || lzs_fail "run-$lzs_run.lock"
lzs_identify
lzs_write run.json "{
$lzs_first,
$lzs_ids,
$lzs_last
}" || lzs_fail run.json
`;

const SHIM_AFTER = `lzs_code=$?

lzs_signal=null
if [ "$lzs_code" -gt 128 ]; then
  lzs_name=$(kill -l $((lzs_code - 128)))
  case $lzs_name in
    # No program dies of the first; the others nobody sends: gemini ends with 173 for a 429.
    CHLD | CONT | STOP | TSTP | TTIN | TTOU | URG | WINCH | RT* | SIGRT*) ;;
    [A-Z]*) lzs_signal="\\"\${lzs_name#SIG}\\"" ;;
  esac
fi
lzs_now
lzs_end="{
  \\"run\\": $lzs_run,
  \\"code\\": $lzs_code,
  \\"signal\\": $lzs_signal,
  \\"ended_at\\": \\"$lzs_at\\"
}"
# A signal for the whole session may have hit mv.
lzs_write exit.json "$lzs_end" || lzs_write exit.json "$lzs_end"`;

/** The same for a short command that is waited for. */
export function childScript(facts: Pick<ShimFacts, "limits" | "unset" | "enter">, command: string): string {
  return `{
exec 3<&- ${SCRIPT_FD}<&-
${firstLines(facts.enter)}
${childLines(facts, command)}
}
`;
}

/** What is inside of a child's script, for where it is not a script of its own. */
export function childLines(facts: Pick<ShimFacts, "limits" | "unset">, command: string): string {
  return `umask 077
lzs_limits=${quoted(facts.limits)}
{ ${SET_LIMITS}; } 2>/dev/null
unset ${facts.unset}
${command}`;
}

export interface ShimLimits {
  readonly memoryBytes: number | null;
  readonly fileBytes: number | null;
  readonly openFiles: number | null;
  readonly processes: number | null;
}

/**
 * Limits in the words of the shims; memory holds for each process by itself. The number of processes is among
 * them only where `counted`: the kernel counts it per user, so as an ordinary user it would count the whole
 * login, and as root nothing; only a user of the cell's own, a namespace or a control group can hold it.
 */
export function shimLimits(limits: ShimLimits, counted: boolean): string {
  const words = ["c:0"];
  // Data, not address space: V8 and Bun reserve far more than they use, and Node's fetch fails below 10 GB of
  // `-v`.
  if (limits.memoryBytes !== null) words.push(`d:${Math.ceil(limits.memoryBytes / 1024)}`);
  if (limits.fileBytes !== null) words.push(`f:${Math.ceil(limits.fileBytes / 512)}`);
  if (limits.openFiles !== null) words.push(`n:${limits.openFiles}`);
  if (counted && limits.processes !== null) words.push(`u:${limits.processes}`);
  return words.join(" ");
}

/** Variables that shells export by themselves, unless the environment is meant to have them. */
export function shellNoise(env: Readonly<Record<string, string>>): string {
  // `lzs_dir` is never exported; it keeps `unset` from ever being called with nothing.
  return ["lzs_dir", "PWD", "OLDPWD", "SHLVL", "_"].filter((name) => env[name] === undefined).join(" ");
}
