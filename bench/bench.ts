import build from "../test/global-setup.ts";
import { durableAcks } from "./acks.ts";
import { atRest } from "./at-rest.ts";
import { decideAfterTurns } from "./decide.ts";
import { fairness } from "./fairness.ts";
import { fairnessReal } from "./fairness-real.ts";
import { startForge } from "./forge.ts";
import { type Figure, machine, makeGround } from "./ground.ts";
import { inFlight } from "./in-flight.ts";
import { idleMemory } from "./memory.ts";
import { firstPage } from "./page.ts";
import { pitMemory, pitScan } from "./pit.ts";
import { restart } from "./restart.ts";
import { sandboxStart } from "./sandbox.ts";
import { statusOfOne } from "./status.ts";
import { largeSummon, spareSummon, turnStart, warmSummon } from "./summon.ts";

/*
 * What docs/proof.md says of speed, measured anew: each figure as a ratio against something real in the same
 * run, medians over rounds in which floor and product take turns. It is no test: it ends with 0 whatever the
 * ratios are.
 */

const FIGURES = {
  summon: warmSummon,
  "summon-spare": spareSummon,
  "summon-large": largeSummon,
  turn: turnStart,
  acks: durableAcks,
  memory: idleMemory,
  sandbox: sandboxStart,
  status: statusOfOne,
  restart,
  pit: pitScan,
  "pit-memory": pitMemory,
  fairness,
  decide: decideAfterTurns,
  page: firstPage,
  "at-rest": atRest,
  "fairness-real": fairnessReal,
  "in-flight": inFlight,
};

/** They take minutes each, need a Redis, and are measured only when they are named. */
const SLOW = ["at-rest", "fairness-real", "in-flight"];

async function main(wanted: readonly string[]): Promise<void> {
  const strange = wanted.filter((name) => !Object.hasOwn(FIGURES, name));
  if (strange.length > 0) {
    const known = Object.keys(FIGURES).map((name) => (SLOW.includes(name) ? `${name}*` : name));
    process.stderr.write(
      `bench: no figure ${strange.join(", ")}. Name some of these, or none for all but those with a star, which take minutes each:\n${known.join(" ")}\n`,
    );
    process.exitCode = 2;
    return;
  }
  await build();
  const ground = makeGround();
  const forge = await startForge(ground.dir);
  try {
    const figures: Figure[] = [];
    for (const [name, measure] of Object.entries(FIGURES)) {
      if (wanted.length > 0 ? !wanted.includes(name) : SLOW.includes(name)) continue;
      figures.push(...[await measure(ground.dir, forge)].flat());
    }
    process.stdout.write(`${table(figures)}\n\n${machine(ground.dir)}\n`);
  } finally {
    await forge.stop();
    ground.remove();
  }
}

function table(figures: readonly Figure[]): string {
  const rows = figures.map((one) => [
    one.name,
    one.floor,
    one.measured,
    `${one.ratio.toFixed(2)}x`,
    reachOf(one),
  ]);
  const all = [["figure", "floor", "measured", "ratio", "reach"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width));
  return [all[0] ?? [], rule, ...rows].map(line).join("\n");
}

function reachOf({ ratio, reach }: Figure): string {
  const isMissed = "atMost" in reach ? ratio > reach.atMost : ratio < reach.atLeast;
  const said = "atMost" in reach ? `<= ${Number(reach.atMost.toFixed(2))}x` : `>= ${reach.atLeast}x`;
  return isMissed ? `${said} (missed)` : said;
}

await main(process.argv.slice(2));
