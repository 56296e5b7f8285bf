/**
 * `npm run attack`: every attack on every backend that is here, as a table; exit code 1 where one succeeds
 * that must not.
 */
import { CASES } from "./cases.ts";
import { armsHere, assault, assaultContainers, control, type Outcome } from "./field.ts";
import { guestAssault } from "./guests.ts";
import { missionAssault } from "./missions.ts";
import { ringsHere } from "./rings.ts";
import { servedAssault } from "./served.ts";
import { isDefeat, summaryOf, tableOf } from "./table.ts";
import { weightAssault } from "./weight.ts";

const began = performance.now();
const { arms, missing } = await armsHere();
for (const why of missing) process.stderr.write(`NOT ATTACKED: ${why}\n`);
const works = await control(CASES);
const outcomes: Outcome[] = (await Promise.all(arms.map((arm) => assault(arm, CASES, works)))).flat();
const served = await ringsHere(arms);
const [boxed, others, guests, missions] = await Promise.all([
  assaultContainers(CASES, works),
  servedAssault(served),
  guestAssault(served),
  missionAssault(served),
]);
for (const why of boxed.missing) process.stderr.write(`NOT ATTACKED: ${why}\n`);
// Last and alone: how long `serve` is silent is measured.
outcomes.push(...boxed.outcomes, ...others, ...guests, ...missions, ...(await weightAssault()));
process.stdout.write(tableOf(outcomes));
process.stdout.write(`\n${summaryOf(outcomes)}, in ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
if (outcomes.some(isDefeat)) process.exitCode = 1;
