import { parseArgs } from "node:util";
import { serverFromEnvironment } from "../../e2e/servers.ts";
import build from "../../global-setup.ts";
import { FLEET_WINDOWS } from "./fleet-aims.ts";
import { describe, isWell } from "./report.ts";
import { GOALS } from "./schedule.ts";
import { storm } from "./storm.ts";

/** From so many kills on, each step and each crash window must have had its share. */
const ENOUGH_FOR_ALL = 150;
const REST_MS = 120_000;
const MOST_RUNNERS = 20;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "900" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    kills: { type: "string" },
    runners: { type: "string", default: "0" },
    fair: { type: "boolean", default: false },
    deliveries: { type: "string", default: "lost" },
    keep: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const kills = values.kills === undefined ? null : Number(values.kills);
const runners = Number(values.runners);
const { seed, deliveries, verbose } = values;
const isNumber = (n: number) => Number.isFinite(n) && n > 0;
const isMany = (n: number) => Number.isInteger(n) && n >= 0 && n <= MOST_RUNNERS;
if (
  !isNumber(seconds) ||
  (kills !== null && !isNumber(kills)) ||
  !isMany(runners) ||
  !["brought", "lost"].includes(deliveries)
) {
  process.stderr.write(
    `chaos: [--seconds N] [--seed S] [--kills K] [--runners 0..${MOST_RUNNERS}] [--fair] [--deliveries brought|lost] [--keep DIR] [--verbose]\n`,
  );
  process.exit(2);
}
await build();
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
const report = await storm({
  server: serverFromEnvironment,
  ...{
    seed,
    seconds,
    kills,
    runners,
    isFair: values.fair,
    restMs: REST_MS,
    gapMs: [200, 900],
    tidied: 1_000,
  },
  deliveries: deliveries === "lost" ? "lost" : "brought",
  required: [],
  keep: values.keep ?? null,
  signal: interrupted.signal,
  say: (line) => verbose && process.stderr.write(`${line}\n`),
});
// Whether all had their share is known only now.
const goals = runners === 0 ? GOALS : [...GOALS, ...FLEET_WINDOWS];
const missing = report.kills >= ENOUGH_FOR_ALL ? goals.filter((goal) => !report.hits.has(goal)) : [];
const judged = { ...report, missing };
const again = `npm run chaos -- --seconds ${seconds} --seed ${seed}${runners === 0 ? "" : ` --runners ${runners}`}${values.fair ? " --fair" : ""}${kills === null ? "" : ` --kills ${kills}`}${deliveries === "lost" ? "" : " --deliveries brought"}`;
// Node 20 may spin for ever in its own end, over connections that were cut: it is not asked to end by itself.
process.stdout.write(describe(judged, again), () => process.exit(isWell(judged) ? 0 : 1));
