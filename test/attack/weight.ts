import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { Stage, type Thread } from "../e2e/stage.ts";
import { type Outcome, verdictOf } from "./field.ts";

/** What an agent leaves that is a burden to whoever works through it afterwards; then its cell is closed. */
interface WeightCase {
  readonly id: string;
  readonly tries: string;
  readonly script: string;
}

const COMMIT = "git add -A; git commit --quiet -m work";
const CASES: readonly WeightCase[] = [
  {
    id: "14.1",
    tries: "a commit of a million paths in 900 bytes",
    script: `b=$(echo x | git hash-object -w --stdin); t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\t%s\\n' $b $n; done | git mktree)
for level in 1 2 3 4 5; do t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\t%s\\n' $t $n; done | git mktree); done
git update-ref HEAD $(git commit-tree -p HEAD -m bomb $t)`,
  },
  {
    id: "14.2",
    tries: "a commit of 12 million line breaks",
    script: `head -c 12000000 /dev/zero | tr '\\0' '\\n' > f; ${COMMIT}`,
  },
  {
    id: "14.3",
    tries: "a commit of 60 million backslashes",
    script: `head -c 60000000 /dev/zero | tr '\\0' '\\134' > f; ${COMMIT}`,
  },
  {
    id: "14.4",
    tries: "a commit message of 9 MB",
    script: `head -c 9000000 /dev/zero | tr '\\0' a > "$HOME/m"; echo a > a; git add a; git commit --quiet -F "$HOME/m"`,
  },
  {
    id: "14.5",
    tries: "4,200 directories in one another",
    script: `echo a > a; ${COMMIT}; cd "$LAZARUS_ARTIFACTS"; i=0; while [ $i -lt 4200 ]; do mkdir d; cd d; i=$((i+1)); done`,
  },
  {
    id: "14.6",
    tries: "200,000 names in its directory of reports",
    script: `echo a > a; ${COMMIT}; cd "$LAZARUS_ARTIFACTS/reports"; seq 200000 | xargs touch`,
  },
  {
    id: "14.7",
    tries: "60 sparse files of 2 TB in all",
    script: `echo a > a; ${COMMIT}; cd "$LAZARUS_ARTIFACTS"; for n in $(seq 60); do truncate -s 35G s$n; done`,
  },
  {
    id: "14.8",
    tries: "300 shells that fork for ever and ignore TERM",
    script: `echo a > a; ${COMMIT}; for n in $(seq 300); do sh -c 'trap "" TERM HUP INT; while :; do sleep 0.2; done' & done`,
  },
];

/** The contract of `/healthz`, and how much more memory one burden may cost `serve`. */
const MOST_SILENT_MS = 1_000;
const MOST_GROWTH_MB = 150;
const STEP_MS = 50;

/**
 * Leaves each burden to a real `lazarus serve`, one after the other, from the summon to the destroyed cell,
 * and measures meanwhile how long `/healthz` is silent at most, and what `serve` has in memory at most.
 */
export async function weightAssault(): Promise<Outcome[]> {
  const stage = await Stage.set({ serve: false });
  try {
    const { lazarus } = stage;
    const agents = Object.fromEntries(CASES.map((one, n) => [`heavy${n}`, one.script]));
    await lazarus.configure({
      ...{ forgeUrl: stage.server.url, token: stage.bot.token, agents, directors: [stage.lead.login] },
      more: {
        server: { listen: lazarus.listen },
        limits: { cells: 99, per_repository: 99, per_person: 99, grace: "1s", free: "1MB", revives: 0 },
      },
    });
    await lazarus.serve();
    const outcomes: Outcome[] = [];
    for (const [n, { id, tries }] of CASES.entries()) {
      const issue = await stage.openIssue(`A burden: ${tries}`);
      const { silentMs, growthMb } = await whileWatched(stage, () => liveAndDie(stage, issue, `heavy${n}`));
      const cost = `${silentMs} ms of silence, ${growthMb} MB more`;
      const got = silentMs > MOST_SILENT_MS || growthMb > MOST_GROWTH_MB ? cost : null;
      const verdict = verdictOf({ isClaimed: true, isProven: true, got });
      outcomes.push({ id, tries: `${tries} (cost: ${cost})`, on: "process", got, verdict });
    }
    return outcomes;
  } finally {
    await stage.strike();
  }
}

async function liveAndDie(stage: Stage, issue: Thread, agent: string): Promise<void> {
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  await stage.card(issue, /→ draft #\d+|[Hh]eld back|changed nothing|stopped/);
  await stage.type(stage.lead, issue, "/lazarus close --discard");
  await stage.card(issue, /archived/);
  await stage.type(stage.lead, issue, "/lazarus destroy");
  await stage.card(issue, "**destroyed** by lead");
}

interface Cost {
  readonly silentMs: number;
  readonly growthMb: number;
}

async function whileWatched(stage: Stage, work: () => Promise<void>): Promise<Cost> {
  const before = await residentMb(stage);
  let [silentMs, most, isDone] = [0, before, false];
  const watching = (async () => {
    while (!isDone) {
      const asked = performance.now();
      await fetch(`${stage.lazarus.url}/healthz`);
      silentMs = Math.max(silentMs, Math.round(performance.now() - asked));
      most = Math.max(most, await residentMb(stage));
      await pause(STEP_MS);
    }
  })();
  try {
    await work();
  } finally {
    isDone = true;
    await watching;
  }
  return { silentMs, growthMb: most - before };
}

async function residentMb(stage: Stage): Promise<number> {
  const status = await readFile(`/proc/${stage.lazarus.pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024);
}
