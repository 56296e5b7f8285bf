/**
 * What each agent of a storm does, after it has left its trace in `$out`. Every commit is of a file of its
 * own.
 */
const COMMIT = `n="$(date +%s%N)"; echo "$n" >"made-$n.txt"; git add . && git commit --quiet -m "Make $n"`;

const SCRIPTS: Readonly<Record<string, string>> = {
  quick: COMMIT,
  lazy: "echo 'nothing to do'",
  crash: `${COMMIT}; echo 'out of luck' >&2; exit 3`,
  slow: `${COMMIT}; sleep 1.5; ${COMMIT}; echo 'left' >left.txt`,
  flood: `i=0; while [ $i -lt 60 ]; do head -c 60000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); sleep 0.02; done; ${COMMIT}`,
  /** Works for longer than anybody waits; people stop it, the storm kills it, or it ends at last. */
  stay: `${COMMIT}; i=0; while [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done`,
  /** Is ended by its wall clock. */
  overrun: `${COMMIT}; while :; do sleep 0.1; done`,
};

export const AGENT_NAMES = Object.keys(SCRIPTS);

/** The scripts; each first adds its cell to `<out>/ran`. */
export function agentScripts(out: string): Record<string, string> {
  const entries = Object.entries(SCRIPTS);
  return Object.fromEntries(
    entries.map(([name, script]) => [name, `echo "$LAZARUS_CELL" >>'${out}/ran'\n${script}\n`]),
  );
}

/** Over an agent's configuration. */
export const AGENT_LIMITS: Readonly<Record<string, Record<string, unknown>>> = {
  flood: { limits: { log: "1MB" } },
  overrun: { limits: { run: "3s" } },
};
