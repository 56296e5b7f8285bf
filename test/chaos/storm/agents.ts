import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What each agent of a storm does, after it has left its trace in `$out`. Every commit is of a file of its
 * own.
 */
const COMMIT = `n="$(date +%s%N)"; echo "$n" >"made-$n.txt"; git add . && git commit --quiet -m "Make $n"`;

/** Answers each point, or each second one: the others are asked again in the next turn. */
const answer = (step: 1 | 2) => `if [ -n "\${LAZARUS_ANSWERS:-}" ]; then
tip="$(git rev-parse HEAD)"; i=1; between='{'
while [ $i -lt 60 ]; do printf '%s"%s":{"verdict":"done","commit":"%s"}' "$between" $i "$tip"; between=,; i=$((i+${step})); done >"$LAZARUS_ANSWERS"
echo '}' >>"$LAZARUS_ANSWERS"
fi`;

const SCRIPTS: Readonly<Record<string, string>> = {
  quick: `${COMMIT}; ${answer(1)}`,
  lazy: "echo 'nothing to do'",
  crash: `${COMMIT}; echo 'out of luck' >&2; exit 3`,
  slow: `${COMMIT}; sleep 1.5; ${COMMIT}; ${answer(2)}; echo 'left' >left.txt`,
  /** Breaks what a check looks at, and mends it in its next turn. */
  breaks: `if [ -e broken.txt ]; then rm broken.txt; else echo >broken.txt; fi; ${COMMIT}; ${answer(1)}`,
  flood: `i=0; while [ $i -lt 60 ]; do head -c 60000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); sleep 0.02; done; ${COMMIT}`,
  /** Works for longer than anybody waits; people stop it, the storm kills it, or it ends at last. */
  stay: `${COMMIT}; i=0; while [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done`,
  /** Is ended by its wall clock. */
  overrun: `${COMMIT}; while :; do sleep 0.1; done`,
};

export const AGENT_NAMES = Object.keys(SCRIPTS);

/**
 * Whoever works in a cell writes itself down, and then looks whether another one that did is alive: of two at
 * once at least the second sees the first. No word of Lazarus is believed.
 */
const AT_WORK = `started() { read -r stat 2>/dev/null <"/proc/$1/stat" || return 1; set -- $stat; [ "$3" != Z ] && [ "$3" != X ] && start="\${22}"; }
started $$; mine="$$ $start"
(umask 0; echo "$mine $what" >>"$out/at-work-$LAZARUS_CELL")
while read -r pid since other; do
  if [ "$pid $since" != "$mine" ] && started "$pid" && [ "$start" = "$since" ]; then echo "$LAZARUS_CELL $what beside $other" >>"$out/together"; fi
done <"$out/at-work-$LAZARUS_CELL"
`;
const REPORT =
  '[ "$LAZARUS_ROLE" != observer ] || echo "I looked at $(git log -1 --format=%s)." >"$LAZARUS_ARTIFACTS/reports/seen.md"';

/** What people leave behind in `<out>`, a directory that agents may write to. */
export const TRACES = { ran: "ran", together: "together" } as const;

/** The scripts; each first adds its cell to `<out>/ran`. */
export function agentScripts(out: string): Record<string, string> {
  writeFileSync(join(out, "at-work.sh"), `out='${out}'\n${AT_WORK}`, { mode: 0o644 });
  for (const name of Object.values(TRACES)) {
    writeFileSync(join(out, name), "");
    // Each cell has a user of its own.
    chmodSync(join(out, name), 0o666);
  }
  const begin = `echo "$LAZARUS_CELL" >>'${out}/ran'\nwhat="$LAZARUS_AGENT in turn $LAZARUS_TURN"\n. '${out}/at-work.sh'\n${REPORT}`;
  return Object.fromEntries(Object.entries(SCRIPTS).map(([name, script]) => [name, `${begin}\n${script}\n`]));
}

/** Checks that pass, one that fails on what an agent broke, and one that fails whatever was made. */
export function checkScripts(out: string): Record<string, Record<string, { run: string }>> {
  const run = (name: string, script: string) => ({
    run: `what='check ${name}'\n. '${out}/at-work.sh'\nsleep 0.2\n${script}`,
  });
  return {
    "acme/app": { tests: run("tests", "test ! -e broken.txt") },
    "acme/web": { lint: run("lint", "true"), never: run("never", "exit 3") },
  };
}

/** Over an agent's configuration. */
export const AGENT_LIMITS: Readonly<Record<string, Record<string, unknown>>> = {
  flood: { limits: { log: "1MB" } },
  overrun: { limits: { run: "3s" } },
};
